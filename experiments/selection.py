"""The results that a user means, from the project in the current folder."""

from collections.abc import Sequence
from contextlib import chdir
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from experiments.joining import TO_PUBLISH, JoinedResult, all_results, joined, meant
from reid.common.errors import UserError, listed
from runs.dvc_errors import explained
from runs.liveness import end_abandoned
from runs.project import project_root
from runs.run_store import LOCAL_HOST, SHORT, Run, RunStore, short

UI_SECONDS = 2
"""The time that MLflow's page has to answer."""


def gathered(which: Sequence[str]) -> list[JoinedResult]:
    """Return all results, or those that the words name.

    A run that no process works on any more is ended first, so that its status is true.

    Raises:
        UserError: there are no results, a word names none, or DVC can't read the project.
    """
    root = project_root()
    store = RunStore(root)
    end_abandoned(root, store.uri, store.kill)
    results = _results(root, store.runs())
    if not which:
        return results
    chosen = []
    for word in which:
        found = meant(results, word)
        if not found:
            raise UserError(f"no result is named {word}. `python -m reid compare` lists them.")
        chosen += found
    return [result for result in results if result in chosen]


def run_of(root: Path, store: RunStore, text: str) -> Run:
    """Return the run that a text means: an id, the beginning of one, or the name of a result.

    Raises:
        UserError: no run or several runs are meant, or DVC can't read the project.
    """
    if not text:
        raise UserError("no run is named: give its id, the beginning of its id, or its name.")
    runs = store.runs()
    # The beginning of an id is found without DVC, which can't be read in the middle of a merge.
    found = meant(joined([], runs), text) if len(text) >= SHORT else []
    found = found or meant(_results(root, runs), text)
    if not found:
        raise UserError(
            f"no run of {store.shown} has the id or the name {text}. "
            "`python -m reid compare` lists them."
        )
    if len({result.run_id for result in found}) > 1:
        which = [f"{r.names[0]} ({short(r.run_id) or 'only in DVC'})" for r in found]
        raise UserError(f"{text} names {len(found)} results: {listed(which)}. Give more of the id.")
    _require_run(found[0])
    return next(run for run in runs if run.info.run_id == found[0].run_id)


def _results(root: Path, runs: list[Run]) -> list[JoinedResult]:
    # DVC names files as they are seen from the working folder.
    with chdir(root), explained():
        return all_results(root, runs)


def _require_run(result: JoinedResult) -> None:
    if not result.run_id:
        raise UserError(f"{', '.join(result.names)} is only in DVC and has no run. {TO_PUBLISH}")


def comparison_page(results: Sequence[JoinedResult], port: int) -> str:
    """Return the URL of MLflow's page that compares the runs of results.

    Args:
        results: those to compare.
        port: where ``make ui`` shows the runs, unless they are on a server.

    Raises:
        UserError: there are fewer than two runs, or a result has none.
    """
    for result in results:
        _require_run(result)
    run_ids = list(dict.fromkeys(result.run_id for result in results))
    if len(run_ids) < 2:
        raise UserError("MLflow compares two runs or more: name two results.")
    return RunStore(project_root()).comparison_page(run_ids, port)


def is_served(page: str) -> bool:
    """Say whether MLflow answers at a page's address."""
    address = urlsplit(page)
    # The runs were read from a server, so a server answers.
    if address.hostname != LOCAL_HOST:
        return True
    connection = HTTPConnection(address.netloc, timeout=UI_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
