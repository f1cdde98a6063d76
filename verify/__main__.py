"""The command line: ``python -m verify``."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import typer

from reid.common.errors import UserError, listed
from verify.clones import run_in_fresh_clone
from verify.recurrence import TOLERANCE
from verify.result import result_in, result_of
from verify.rule import Comparison, compare
from verify.tables import figures_table, files_table, show

SameProcessor = Annotated[
    bool,
    typer.Option(
        "--same-processor", help="The commit was made on this kind: demand the same bytes."
    ),
]
COMMIT_NEW = "run `dvc repro` and commit dvc.lock and metrics/"

app = typer.Typer(
    help="Does the committed result come out again?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def change(
    folder: Annotated[Path, typer.Argument(help="A clone in which the pipeline was run.")],
    base: Annotated[str, typer.Option(help="A commit to show the figures of, as main.")] = "",
    same_processor: SameProcessor = False,
) -> None:
    """Compare what came out in a clone with what the last commit here says."""
    comparison = compare(result_of("HEAD", Path()), result_in(folder))
    show(figures_table(comparison, result_of(base, Path()) if base else None))
    if comparison.other_inputs:
        typer.echo(
            "\nThe committed dvc.lock is of other inputs: "
            f"{listed(comparison.other_inputs, limit=5)}. To spare others the work, {COMMIT_NEW}."
        )
    _fail_on(comparison, same_processor)
    typer.echo(f"\nThe committed result came out again: {_how_well(comparison)}.")


@app.command()
def clones(same_processor: SameProcessor = False) -> None:
    """Run the pipeline in two fresh clones of the last commit, and compare all they made."""
    project = Path.cwd()
    committed = result_of("HEAD", project)
    if subprocess.run(["git", "diff", "--quiet", "HEAD"], check=False).returncode:
        typer.echo("The clones hold the last commit, without the edits since.", err=True)
    folder = Path(mkdtemp(prefix="verify-"))
    places = [folder / "first" / "reid", folder / "second" / "reid"]
    for place in places:
        typer.echo(f"\n--- {place}", err=True)
        run_in_fresh_clone(project, place)
    first, second = (result_in(place) for place in places)
    comparison = compare(committed, first)
    typer.echo("")
    show(files_table((first, second), committed))
    typer.echo("")
    show(figures_table(comparison))
    typer.echo("")
    kept = f"The clones are in {folder}."
    if first.lock != second.lock:
        raise UserError(f"the clones' dvc.lock differ. {kept}")
    if comparison.other_inputs:
        raise UserError(
            "the committed dvc.lock is of other inputs than the commit's own: "
            f"{listed(comparison.other_inputs, limit=5)}. To mend it, {COMMIT_NEW}. {kept}"
        )
    _fail_on(comparison, same_processor, kept)
    shutil.rmtree(folder)
    typer.echo(
        "The clones' dvc.lock are identical, and the committed result came out again: "
        f"{_how_well(comparison)}."
    )


def _how_well(comparison: Comparison) -> str:
    if not comparison.other_models and not comparison.largest_move:
        return "the same bytes"
    return (
        f"models of other bytes, figures within {100 * comparison.largest_move:.1f} points "
        f"({100 * TOLERANCE:.0f} are allowed), as on another kind of processor. If the commit was "
        "made on this kind, something is not declared: --same-processor makes that fail"
    )


def _fail_on(comparison: Comparison, same_processor: bool, kept: str = "") -> None:
    problems = list(comparison.problems)
    if same_processor:
        problems += [f"{path} has other bytes" for path in comparison.other_models]
    if problems:
        raise UserError(
            "\n".join(
                [
                    "the committed result does not come out again:",
                    *(f"  {problem}" for problem in problems),
                    f"If that is meant, {COMMIT_NEW}. {kept}".rstrip(),
                ]
            )
        )


def main() -> None:
    """Run the command line; what a user can mend ends with one message and exit status 1."""
    try:
        app()
    except UserError as e:
        sys.exit(f"error: {e}")


if __name__ == "__main__":
    main()
