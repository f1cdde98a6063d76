"""The results to lay side by side, from the project in the current folder."""

from collections.abc import Sequence
from contextlib import chdir

from experiments.dvc_errors import explained
from experiments.results import Result, all_results
from reid.errors import UserError
from reid.run_store import RunStore
from stages.lineage import project_root
from stages.pipelines import end_abandoned


def gathered(which: Sequence[str]) -> list[Result]:
    """All results, or those that the words name.

    A run that nothing works on any more is ended first, so that its status is true.

    Raises:
        UserError: there are none, or a word names none, or DVC can't read the project.
    """
    root = project_root()
    store = RunStore(root)
    end_abandoned(root, store.uri, store.kill)
    # DVC names files as they are seen from the working folder.
    with chdir(root), explained():
        results = all_results(root, store.runs())
    if not which:
        return results
    for word in which:
        if not any(result.answers_to(word) for result in results):
            raise UserError(f"no result is named {word}. `python -m reid compare` lists them.")
    return [result for result in results if any(map(result.answers_to, which))]


def comparison_page(results: Sequence[Result]) -> str:
    """URL of MLflow's page that compares the runs of results.

    Raises:
        UserError: fewer than two of them, or one has no run.
    """
    for result in results:
        if not result.run_id:
            raise UserError(
                f"{', '.join(result.names)} is only in DVC: MLflow can't compare it. "
                "`dvc exp apply` it and run `dvc repro`, and it has a run."
            )
    if len(results) < 2:
        raise UserError("MLflow compares two results or more: name two.")
    return RunStore(project_root()).comparison_page([result.run_id for result in results])
