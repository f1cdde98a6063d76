"""What a result comes from, as one hash of everything that ``dvc.yaml`` declares."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from dvc.repo import Repo
from dvc.stage import Stage

from reid.common.errors import UserError
from runs.declarations import content, declared_stages, stage_named, stages_of


@cache
def fingerprint() -> str:
    """Return the hash of everything that determines the pipeline's result, 64 hex digits.

    It is known before the pipeline runs.

    The hash covers the values of the parameters and the content of each declared file that no
    stage makes: the photos, the pretrained weights, the code. Stages that run every time, such as
    ``track``, determine nothing.
    """
    return _fingerprint(declared_stages(), recorded=False)


def fingerprint_now() -> str:
    """Compute the fingerprint anew, for a process that lives on while files are edited."""
    with Repo() as repo:
        return _fingerprint(stages_of(repo), recorded=False)


def is_up_to_date() -> bool:
    """Return whether ``dvc.lock`` records the result of what is declared now.

    It does not if something was edited after a stage ran and the pipeline continued.
    """
    return _fingerprint(declared_stages(), recorded=True) == fingerprint()


def recorded_fingerprint(repo: Repo) -> str:
    """Return the fingerprint of the result that a repository's ``dvc.lock`` records.

    After ``repo.switch``, it is that of a commit or an experiment. The fingerprint is empty if not
    all stages have run with the same parameters and files, as after `dvc exp run -S lr=0.02
    train_baseline`: the figures then belong to earlier ones.
    """
    stages = stages_of(repo)
    return _fingerprint(stages, recorded=True) if _is_one_result(stages) else ""


def inputs_hash(stage_name: str) -> str:
    """Return the hash of the parameters and files that a stage declares to read, 64 hex digits."""
    return _inputs_hash(stage_name, declared_stages())


def require_unedited(stage_name: str, before: str) -> None:
    """Raise UserError if the inputs of a stage were edited while it ran.

    DVC hashes the inputs after the stage has run, so a result computed from the old inputs would
    be recorded under the new ones.

    Args:
        stage_name: of the stage that has run.
        before: its ``inputs_hash`` before it ran.
    """
    with Repo() as repo:
        now = _inputs_hash(stage_name, stages_of(repo))
    if now != before:
        raise UserError(
            f"parameters, code or data that {stage_name} declares were edited while it ran, so "
            "a result computed from the old inputs would be recorded under the new ones. Run "
            "`dvc repro` again. If you undo the edit first, a training is finished at once."
        )


def is_saved(stage_name: str) -> bool:
    """Return whether DVC has the outputs of a stage for its present inputs, in lock and cache."""
    stages = declared_stages()
    is_recorded = _inputs_hash(stage_name, stages, recorded=True) == inputs_hash(stage_name)
    return is_recorded and not any(
        out.changed_cache() for out in stage_named(stage_name, stages).outs
    )


def _fingerprint(stages: list[Stage], recorded: bool) -> str:
    return _digest(
        {
            # A stage's address in another commit would contain the path to the working folder.
            stage.name: [stage.cmd, content(stage, stages, only_leaves=True, recorded=recorded)]
            for stage in stages
            if stage.cmd and not stage.always_changed
        }
    )


def _inputs_hash(stage_name: str, stages: list[Stage], recorded: bool = False) -> str:
    stage = stage_named(stage_name, stages)
    return _digest([stage_name, content(stage, stages, only_leaves=False, recorded=recorded)])


def _is_one_result(stages: list[Stage]) -> bool:
    """Return whether all stages recorded the same values of what several of them read or make."""
    known: dict[str, Any] = {}
    for stage in stages:
        if not stage.cmd or stage.always_changed:
            continue
        read = content(stage, stages, only_leaves=False, recorded=True)
        made = {str(out): out.hash_info.value for out in stage.outs}
        for name, value in (read | made).items():
            compared = _as_compared(value)
            if known.setdefault(name, compared) != compared:
                return False
    return True


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(_as_compared(value), sort_keys=True).encode()).hexdigest()


def _as_compared(value: Any) -> Any:
    """Return a value as DVC compares it: 10 and 10.0 are the same value of a parameter."""
    if isinstance(value, Mapping):
        return {key: _as_compared(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_compared(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
