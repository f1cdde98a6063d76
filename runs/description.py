"""An MLflow run's description: where its result comes from, and the command that repeats it."""

from reid.common.errors import listed
from runs.markdown import code
from runs.one_run_per_result import RunIdentity
from runs.worktree import WorkTree


def describe(
    identity: RunIdentity, experiment: str, worktree: WorkTree, data_md5: str, run_id: str
) -> str:
    """Return the description in markdown, as MLflow shows it on the run's page.

    Args:
        identity: of the run.
        experiment: the name of the DVC experiment; empty if the result belongs to none.
        worktree: the files that the result comes from.
        data_md5: of the data set, as ``data.dvc`` records it.
        run_id: of the run.
    """
    facts = {
        "Git commit": f"{code(worktree.commit)}, {_changes(worktree)}"
        if worktree.commit
        else "none yet",
        "Parameters": _params(worktree),
        "Experiment": code(experiment) if experiment else "none: made by `dvc repro`",
        "Data": f"{code('data')}, md5 {code(data_md5)}",
        "Fingerprint": code(identity.fingerprint),
    }
    table = ["| | |", "|:--|:--|", *(f"| {name} | {fact} |" for name, fact in facts.items())]
    if worktree.commit:
        way_back = (
            "**Compute it again** in a folder of its own, and compare the metrics:\n\n"
            f"```\npython -m reid reproduce {run_id}\n```"
        )
    else:
        way_back = "Nothing was committed yet, so git can't bring these files back."
    return "\n".join(table) + f"\n\n{way_back}"


def _changes(worktree: WorkTree) -> str:
    if not worktree.determining:
        return "only parameters changed" if worktree.params else "unchanged"
    changed = listed([code(path) for path in worktree.determining])
    return f"with uncommitted changes of {changed}"


def _params(worktree: WorkTree) -> str:
    if not worktree.params:
        return "those of the commit"
    changes = [
        f"{code(name)} {code(was)} → {code(now)}" for name, (was, now) in worktree.params.items()
    ]
    return listed(changes)
