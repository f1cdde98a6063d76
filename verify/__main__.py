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
from verify.rule import Judgement, judge
from verify.tables import figures_table, files_table, show

COMMIT_NEW = "run `dvc repro` and commit dvc.lock and metrics/"
PORTABLE_NEEDS = (
    "With processor: any, equal bytes need an x86-64 processor with AVX2 and the packages of "
    "requirements.lock."
)

app = typer.Typer(
    help="Check that the committed result can be reproduced.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def change(
    folder: Annotated[Path, typer.Argument(help="A clone in which the pipeline was run.")],
    base: Annotated[
        str, typer.Option(help="Also show the figures of this commit, for example main.")
    ] = "",
) -> None:
    """Compare the result in a clone with the result in the last commit here."""
    judgement = judge(result_of("HEAD", Path()), result_in(folder))
    show(figures_table(judgement, result_of(base, Path()) if base else None))
    if judgement.other_inputs and not judgement.is_portable:
        typer.echo(
            "\nThe committed dvc.lock was made from other inputs: "
            f"{listed(judgement.other_inputs, limit=5)}. To spare others the work, {COMMIT_NEW}."
        )
    _fail_on(judgement)
    typer.echo(f"\nThe committed result was reproduced: {_how_well(judgement)}.")


@app.command()
def clones() -> None:
    """Run the pipeline in two fresh clones of the last commit, and compare all outputs."""
    project = Path.cwd()
    committed = result_of("HEAD", project)
    if subprocess.run(["git", "diff", "--quiet", "HEAD"], check=False).returncode:
        typer.echo("The clones have the last commit, without the edits since then.", err=True)
    folder = Path(mkdtemp(prefix="verify-"))
    places = [folder / "first" / "reid", folder / "second" / "reid"]
    for place in places:
        typer.echo(f"\n--- {place}", err=True)
        run_in_fresh_clone(project, place)
    first, second = (result_in(place) for place in places)
    judgement = judge(committed, first)
    typer.echo("")
    show(files_table((first, second), committed))
    typer.echo("")
    show(figures_table(judgement))
    typer.echo("")
    kept = f"The clones are in {folder}."
    if first.lock != second.lock:
        raise UserError(f"the two clones have different results. {kept}")
    if judgement.other_inputs:
        raise UserError(
            "the committed dvc.lock was made from other inputs than those of the commit: "
            f"{listed(judgement.other_inputs, limit=5)}. To mend it, {COMMIT_NEW}. {kept}"
        )
    _fail_on(judgement, kept)
    shutil.rmtree(folder)
    typer.echo(
        "The two clones have identical results, and the committed result was reproduced: "
        f"{_how_well(judgement)}."
    )


def _how_well(judgement: Judgement) -> str:
    if not judgement.other_models and not judgement.largest_move:
        return "the same bytes"
    return (
        f"the models differ, the figures are within {100 * judgement.largest_move:.1f} points "
        f"({100 * TOLERANCE:.0f} are allowed where bytes depend on the processor). If the commit "
        "was made on this CPU type, an input is not declared"
    )


def _fail_on(judgement: Judgement, kept: str = "") -> None:
    if judgement.problems:
        raise UserError(
            "\n".join(
                [
                    "the committed result was not reproduced:",
                    *(f"  {problem}" for problem in judgement.problems),
                    f"If that is intended, {COMMIT_NEW}. {kept}".rstrip(),
                    *([PORTABLE_NEEDS] if judgement.is_portable else []),
                ]
            )
        )


def main() -> None:
    """Run the command line; an error that a user can mend is one message and exit status 1."""
    try:
        app()
    except UserError as e:
        sys.exit(f"error: {e}")


if __name__ == "__main__":
    main()
