"""A run reproduced: its result computed again in a new folder, and compared with the original."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table
from rich.text import Text

from experiments.joining import TO_PUBLISH
from experiments.slim_table import slim_table
from reid.common.errors import UserError
from runs.checkout import DVC, require_commit, restore
from runs.run_store import Run, RunStore, fingerprint_of, is_finished, short
from verify.clones import environment
from verify.recurrence import TOLERANCE, Recurrence, recurrences
from verify.result import result_in


@dataclass(frozen=True)
class Reproduction:
    """A result that was computed again."""

    run_id: str
    folder: Path
    figures: list[Recurrence]
    same_bytes: bool
    """Whether every file that DVC hashes is the same, the models included."""

    @property
    def is_reproduced(self) -> bool:
        """Whether no figure differs by more than the tolerance, and no count at all."""
        return bool(self.figures) and all(f.verdict != "differs" for f in self.figures)


def default_folder(root: Path, run: Run) -> Path:
    """Return a folder next to the project, named after the project and the run."""
    return root.parent / f"{root.name}-{short(run.info.run_id)}"


def reproduce(root: Path, store: RunStore, run: Run, folder: Path) -> Reproduction:
    """Restore the state that a run came from, and run the whole pipeline there.

    No result comes from DVC's cache, and the new result is tracked in the folder's own
    ``mlflow.db``: neither the project nor its tracking store changes.

    Args:
        root: the project.
        store: where the run is.
        run: a finished run.
        folder: the new folder; it is kept.

    Raises:
        UserError: the run has no whole result, the folder exists already, a part of the state is
            missing, its code does not start, or the pipeline fails.
    """
    run_id = run.info.run_id
    if not is_finished(run):
        raise UserError(
            f"run {short(run_id)} is {run.info.status} and has no whole result to compare with. "
            f"If DVC has the experiment, {TO_PUBLISH}"
        )
    if folder.exists():
        raise UserError(f"{folder} exists already. Name another folder, or remove it.")
    commit = run.data.tags.get("git_commit", "")
    require_commit(root, commit)
    with TemporaryDirectory() as temporary:
        kept = store.download(run, "pipeline", Path(temporary))
        project = restore(root, commit, kept, folder)
        before = result_in(kept)
    _require_same_inputs(folder, project, commit, fingerprint_of(run))
    pipeline = [*DVC, "repro", "--force", "--no-run-cache"]
    if subprocess.run(pipeline, cwd=project, env=environment(), check=False).returncode:
        raise UserError(f"the pipeline failed in {project}, which is kept. The reason is above.")
    now = result_in(project)
    return Reproduction(
        run_id,
        project,
        recurrences(before.named_metrics, now.named_metrics),
        now.outputs == before.outputs,
    )


def _require_same_inputs(folder: Path, project: Path, commit: str, fingerprint: str) -> None:
    """Ask the restored code for its fingerprint, which has to be the run's.

    If that code does not start, ``folder`` is removed, so that the next attempt can make it.
    """
    done = subprocess.run(
        [sys.executable, "-c", "from runs.fingerprint import fingerprint; print(fingerprint())"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        reason = done.stderr.strip().rpartition("\n")[2]
        raise UserError(
            f"the code that the run came from does not start: {reason}. If a package is "
            f"missing, `git show {commit}:requirements.lock` lists the packages of that time: "
            "install the missing one here, or all of them in another environment."
        )
    if done.stdout.split()[-1:] != [fingerprint]:
        raise UserError(
            f"{project} is not in the state that the run came from: its fingerprint is "
            f"{done.stdout.strip()}, the run's {fingerprint}. A file that git ignores may be "
            "part of the pipeline."
        )


def reproduction_table(done: Reproduction) -> Table:
    """Show each figure and count: the run's, the new one, and whether they agree."""
    if done.same_bytes:
        caption = "every file that DVC hashes has the same bytes, the models included"
    else:
        caption = f"figures may move by {TOLERANCE} with processor: this; counts may not"
    words = {
        "equal": Text("equal"),
        "within": Text("within tolerance"),
        "differs": Text("differs", "bold red"),
    }
    table = slim_table(title=f"Run {short(done.run_id)} computed again", caption=caption)
    table.add_column("metric")
    for heading in ("run", "again", "difference"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for figure in done.figures:
        form = ".0f" if figure.is_count else ".4f"
        table.add_row(
            figure.name,
            f"{figure.before:{form}}",
            f"{figure.now:{form}}",
            f"{figure.moved:+{form}}" if figure.moved else "",
            words[figure.verdict],
        )
    return table
