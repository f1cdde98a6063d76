"""The results that a user means, from the project in the current folder."""

from collections.abc import Sequence
from contextlib import chdir
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from experiments.dvc_errors import explained
from experiments.joining import TO_PUBLISH, Result, all_results, joined, meant
from reid.common.errors import UserError
from runs.fingerprint import project_root
from runs.liveness import end_abandoned
from runs.run_store import LOCAL_UI, SHORT, Run, RunStore, short

UI_SECONDS = 2
"""After which a UI that doesn't answer is taken for none."""


def gathered(which: Sequence[str]) -> list[Result]:
    """All results, or those that the words name.

    A run that nothing works on any more is ended first, so that its status is true.

    Raises:
        UserError: there are none, or a word names none, or DVC can't read the project.
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
    """The run with an id, the only one whose id begins so, or that of the result with a name.

    Raises:
        UserError: there is none, or there are several, or DVC can't read the project.
    """
    if not text:
        raise UserError("no run is named: give its id, the beginning of that, or its name.")
    runs = store.runs()
    # What is too long for a chance name needs no look at DVC, which may be in a merge's middle.
    found = meant(joined([], runs), text) if len(text) >= SHORT else []
    found = found or meant(_results(root, runs), text)
    if not found:
        raise UserError(
            f"no run of {store.shown} has the id or the name {text}. "
            "`python -m reid compare` lists them."
        )
    if len(found) > 1:
        which = ", ".join(f"{r.names[0]} ({short(r.run_id) or 'only in DVC'})" for r in found)
        raise UserError(f"{text} names {len(found)} results: {which}. Give an id, or more of it.")
    _require_run(found[0])
    return next(run for run in runs if run.info.run_id == found[0].run_id)


def _results(root: Path, runs: list[Run]) -> list[Result]:
    # DVC names files as they are seen from the working folder.
    with chdir(root), explained():
        return all_results(root, runs)


def _require_run(result: Result) -> None:
    if not result.run_id:
        raise UserError(f"{', '.join(result.names)} is only in DVC and has no run. {TO_PUBLISH}")


def comparison_page(results: Sequence[Result]) -> str:
    """URL of MLflow's page that compares the runs of results.

    Raises:
        UserError: fewer than two of them, or one has no run.
    """
    for result in results:
        _require_run(result)
    if len(results) < 2:
        raise UserError("MLflow compares two results or more: name two.")
    return RunStore(project_root()).comparison_page([result.run_id for result in results])


def is_served(page: str) -> bool:
    """Whether MLflow answers at a page's address; a server does, for runs were read from it."""
    if not page.startswith(LOCAL_UI):
        return True
    connection = HTTPConnection(urlsplit(page).netloc, timeout=UI_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
