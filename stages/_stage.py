"""What all stages share: reading declared parameters, logging, and ending with one message."""

import errno
import logging
import os
import sqlite3
import sys
from collections.abc import Callable

from reid.common.errors import UserError
from reid.common.settings import AnySettings, checked
from runs.declarations import declared_params

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a full disk, an exceeded quota and a file that is too large."""


def declared(stage: str, kind: type[AnySettings]) -> AnySettings:
    """Return the parameters that ``dvc.yaml`` declares for a stage; others can't be read.

    Raises:
        UserError: a value is missing, unknown, of the wrong type or out of range.
    """
    return checked(kind, declared_params(stage), f"params.yaml, for {stage}")


def run(main: Callable[[], None]) -> None:
    """Run a stage. An error that a user can mend ends it with one message and exit status 1.

    If the pipeline has a run in MLflow, the run stays alive while the stage runs. An error marks
    the run as failed.
    """
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    for package in ("__main__", "reid", "runs", "stages"):
        logging.getLogger(package).setLevel(logging.INFO)
    from runs.dvc_experiment import require_result_is_kept  # noqa: PLC0415
    from runs.live_epochs import hold_begun_run, mark_failed  # noqa: PLC0415

    hold_begun_run()
    try:
        _explained(require_result_is_kept)
        _explained(main)
    except BaseException:
        mark_failed()
        raise


def _explained(main: Callable[[], None]) -> None:
    try:
        main()
    except UserError as e:
        _fail(str(e))
    except sqlite3.OperationalError as e:
        _fail(f"a database in .dvc/ or mlflow.db can't be written ({e}). Is the disk full?")
    except OSError as e:
        if e.errno in NO_SPACE:
            _fail(
                f"no space to write {e.filename or 'an output'} ({e.strerror}). "
                "Free some space and run `dvc repro` again."
            )
        if not isinstance(e, PermissionError):
            raise
        _fail(f"{e.filename} can't be used: {e.strerror}. Mend its permissions.")


def _fail(message: str) -> None:
    hint = ""
    if "DVC_STAGE" in os.environ:
        # DVC removes a stage's outputs before it runs the stage, but keeps them in its cache.
        hint = (
            "\nEarlier results are in DVC's cache. To get them back, undo the edit (of the data "
            "with `git checkout data.dvc && dvc checkout data.dvc`) and run `dvc repro`."
        )
    sys.exit(f"error: {message}{hint}")
