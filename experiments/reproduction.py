"""A run's result computed anew in a folder of its own, and laid beside the original."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table

from experiments.checkout import DVC, bring_back, require_commit
from experiments.joining import TO_PUBLISH
from reid.common.errors import UserError
from runs.run_store import Run, RunStore, fingerprint_of, is_finished, short
from verify.clones import environment
from verify.recurrence import TOLERANCE, Recurrence, recurrences
from verify.result import result_in


@dataclass(frozen=True)
class Reproduction:
    """A result that was computed anew."""

    run_id: str
    folder: Path
    figures: list[Recurrence]
    same_bytes: bool
    """Whether every file that DVC hashes is the same, the models included."""

    @property
    def came_out_again(self) -> bool:
        """Whether no figure differs by more than the tolerance, and no count at all."""
        return bool(self.figures) and all(f.verdict != "differs" for f in self.figures)


def default_folder(root: Path, run: Run) -> Path:
    """Beside the project, named by it and by the run."""
    return root.parent / f"{root.name}-{short(run.info.run_id)}"


def reproduce(root: Path, store: RunStore, run: Run, folder: Path) -> Reproduction:
    """Bring back the state that a run came from, and run the whole pipeline there.

    Nothing is taken from DVC's cache of results, and the new result is tracked in the folder's
    own ``mlflow.db``: neither the project nor its tracking store changes.

    Args:
        root: the project.
        store: where the run is.
        run: a finished one.
        folder: to make and to compute in; it stays.

    Raises:
        UserError: the run holds no whole result, the folder is there already, a part of the state
            can't be had, its code does not start, or the pipeline fails.
    """
    run_id = run.info.run_id
    if not is_finished(run):
        raise UserError(
            f"run {short(run_id)} is {run.info.status} and holds no whole result to compare with. "
            f"If DVC has the experiment, {TO_PUBLISH}"
        )
    if folder.exists():
        raise UserError(f"{folder} is there already. Name another folder, or remove it.")
    commit = run.data.tags.get("git_commit", "")
    require_commit(root, commit)
    with TemporaryDirectory() as temporary:
        kept = store.download(run, "pipeline", Path(temporary))
        project = bring_back(root, commit, kept, folder)
        before = result_in(kept)
    _require_same_inputs(folder, project, commit, fingerprint_of(run))
    pipeline = [*DVC, "repro", "--force", "--no-run-cache"]
    if subprocess.run(pipeline, cwd=project, env=environment(), check=False).returncode:
        raise UserError(f"the pipeline failed in {project}, which stays as it is; see above why.")
    now = result_in(project)
    return Reproduction(
        run_id,
        project,
        recurrences(before.named_metrics, now.named_metrics),
        now.outputs == before.outputs,
    )


def _require_same_inputs(folder: Path, project: Path, commit: str, fingerprint: str) -> None:
    """Let the code that was brought back say what it would compute.

    Where it does not even start, ``folder`` is removed, so that the next attempt can make it.
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
            f"the code that the run came from does not start: {reason}. Where a package is "
            f"missing, `git show {commit}:requirements.lock` lists those of that time: install it "
            "here, or all of them elsewhere."
        )
    if done.stdout.split()[-1:] != [fingerprint]:
        raise UserError(
            f"the state in {project} is not the one that the run came from: its fingerprint is "
            f"{done.stdout.strip()}, the run's {fingerprint}. A file that git ignores may be "
            "part of the pipeline."
        )


def reproduction_table(done: Reproduction) -> Table:
    """Each figure and count: the run's, the new one, and what to make of them."""
    if done.same_bytes:
        caption = "every file that DVC hashes has the same bytes, the models included"
    else:
        caption = f"figures may differ by {TOLERANCE}, as between kinds of processor; counts not"
    words = {"equal": "equal", "within": "within tolerance", "differs": "[bold red]differs[/]"}
    table = Table(title=f"Run {short(done.run_id)} computed anew", caption=caption)
    table.add_column("metric")
    for heading in ("run", "anew", "difference"):
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
