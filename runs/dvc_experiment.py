"""Which DVC experiment a result is of."""

import os
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo

from reid.common.errors import UserError
from runs.worktree import has_result, with_this_lock


@dataclass(frozen=True)
class Experiment:
    """An experiment of DVC."""

    name: str
    baseline: str
    """The commit that it was started from."""

    @property
    def ref(self) -> str:
        """Its name in full: another commit's experiment may be given the short one, too."""
        return f"refs/exps/{self.baseline[:2]}/{self.baseline[2:]}/{self.name}"


def own_experiment() -> Experiment | None:
    """The one that this process runs in; DVC keeps it only if it comes to its end."""
    name, baseline = (os.environ.get(f"DVC_EXP_{key}", "") for key in ("NAME", "BASELINE_REV"))
    return Experiment(name, baseline) if name else None


def kept_experiment(root: Path, said: str) -> Experiment | None:
    """The kept experiment whose result lies in the working folder.

    Args:
        root: the project, which a temporary or queued experiment's folder is not.
        said: the name that the run gives; where several have this result, it counts.
    """
    with Repo(str(root)) as repo:
        kept = {
            rev: Experiment(name, baseline)
            for baseline, experiments in repo.experiments.ls(all_commits=True).items()
            for name, rev in experiments
            if rev
        }
    try:
        same = with_this_lock(list(kept), root)
        named = [rev for rev, experiment in kept.items() if experiment.name == said]
        # Within an experiment, what is here is not yet the lock that DVC will keep.
        found = [rev for rev in named if rev in same or has_result(rev, root)] or same
    except (UserError, OSError):  # no git program, which DVC does without
        return None
    return kept[found[0]] if found else None
