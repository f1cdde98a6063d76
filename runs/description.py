"""An MLflow run's description: where the result comes from, and the commands that bring it back."""

import shlex
from pathlib import Path

from reid.common.errors import listed
from runs.dvc_experiment import Experiment
from runs.run_identity import RunIdentity
from runs.worktree import CHANGES, State, has_result


def describe(
    identity: RunIdentity, experiment: Experiment | None, state: State, data_md5: str, run_id: str
) -> str:
    """The description in markdown, as MLflow shows it on the run's page."""
    facts = {
        "Git commit": f"`{state.commit}`, {_changes(state)}" if state.commit else "none yet",
        "Parameters": _params(state),
        "Experiment": f"`{experiment.name}`" if experiment else "none: made by `dvc repro`",
        "Data": f"`data`, md5 `{data_md5}`",
        "Fingerprint": f"`{identity.fingerprint}`",
    }
    table = ["| | |", "|:--|:--|", *(f"| {name} | {fact} |" for name, fact in facts.items())]
    parts = ["\n".join(table)]
    if not state.commit:
        parts.append("Nothing was committed yet, so git can't bring this state back.")
        return "\n\n".join(parts)
    parts += [
        "**Compute it anew** in a folder of its own, and see whether the metrics come out again:",
        _code(f"python -m reid reproduce {run_id}"),
    ]
    here = _in_this_checkout(experiment, state)
    if here:
        parts += [
            "**Bring it back into this checkout** with data, models and figures (`dvc pull` in "
            "place of `dvc checkout` where the cache has them no more):",
            _code(*here),
        ]
    parts += [
        "**Bring it back by hand** into a folder of its own, from the project's folder:",
        _code(*_by_hand(identity.root, state, run_id)),
        "`dvc checkout` brings what git ignores: data, weights, models and figures, from this "
        "project's cache; `dvc pull` brings it from the remote. Without them there are the code "
        "and the parameters alone, and `dvc pull data.dvc pretrained.dvc && dvc repro` computes "
        "the rest.",
    ]
    return "\n\n".join(parts)


def _changes(state: State) -> str:
    if not state.determining:
        return "unchanged but for parameters" if state.params else "unchanged"
    return f"with uncommitted changes of {listed([f'`{path}`' for path in state.determining])}"


def _params(state: State) -> str:
    if not state.params:
        return "those of the commit"
    changes = [f"`{name}` {was} → {now}" for name, (was, now) in state.params.items()]
    return listed(changes)


def _in_this_checkout(experiment: Experiment | None, state: State) -> list[str]:
    """Commands; none where neither a commit nor an experiment holds state and result."""
    if experiment:
        return [f"dvc exp apply {shlex.quote(experiment.ref)}"]
    if state.determining or state.params or not has_result(state.commit):
        return []
    return [f"git checkout {state.commit}", "dvc checkout"]


def _by_hand(root: Path, state: State, run_id: str) -> list[str]:
    folder = shlex.quote(f"../{root.name}-{run_id[:8]}")
    return [
        f"git clone . {folder}",
        "export MLFLOW_TRACKING_URI=${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}",
        f"mlflow artifacts download --run-id {run_id} --artifact-path pipeline --dst-path {folder}",
        f"cd {folder}",
        f"git checkout {state.commit}",
        *([f"git apply pipeline/{CHANGES}"] if state.patch else []),
        f"rm pipeline/{CHANGES}",
        "cp -R pipeline/. . && rm -r pipeline",
        'dvc cache dir --local "$(cd "$OLDPWD" && dvc cache dir)" && dvc checkout',
    ]


def _code(*commands: str) -> str:
    return "\n".join(["```", *commands, "```"])
