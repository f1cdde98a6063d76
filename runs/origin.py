"""Which run the working tree's result belongs to, and how the tree differs from git's commit."""

import logging
import os
from functools import cache

from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.scm import SCMError

from reid.common.errors import UserError
from reid.data.paths import DATA
from runs.declarations import declared_stages, tracked_md5
from runs.dvc_experiment import own_experiment
from runs.fingerprint import fingerprint
from runs.one_run_per_result import RunIdentity, nameless
from runs.project import project_root
from runs.worktree import Declarations, WorkTree, compared_with

logger = logging.getLogger(__name__)


def run_identity() -> RunIdentity:
    """Return which MLflow run belongs to the pipeline as it is declared now."""
    experiment = own_experiment()
    commit = _commit()
    key = fingerprint()
    tags = {
        "git_commit": commit,
        "dvc_exp": experiment,
        "data_md5": tracked_md5(str(DATA)),
        # MLflow's pages show the tags with these names.
        "mlflow.source.git.commit": commit,
        "mlflow.source.name": "dvc exp run" if experiment else "dvc repro",
    }
    return RunIdentity(
        project_root(),
        key,
        experiment or nameless(key),
        {name: value for name, value in tags.items() if value},
        lambda: worktree().tags(),
    )


@cache
def worktree() -> WorkTree:
    """Return how the working tree differs from the commit that it is based on."""
    stages = declared_stages()
    outputs = {str(out) for stage in stages for out in stage.outs}
    made = [out for stage in stages if not stage.is_data_source for out in stage.outs]
    inputs = {
        str(dep)
        for stage in stages
        for dep in stage.deps
        if not isinstance(dep, ParamsDependency) and str(dep) not in outputs
    }
    declared = Declarations(
        data=tuple(stage.relpath for stage in stages if stage.is_data_source),
        inputs=tuple(sorted(inputs)),
        outputs=tuple(str(out) for out in made),
        figures=tuple(str(out) for out in made if not out.use_cache),
    )
    try:
        return compared_with(_commit(), declared)
    except (UserError, OSError) as e:
        # DVC needs no git program, and a result is worth more than its origin.
        logger.warning("the run will not say how the files differ from git's commit: %s", e)
        return compared_with("", declared)


def _commit() -> str:
    """Return the commit that the pipeline started from; empty if nothing was committed yet."""
    if "DVC_EXP_BASELINE_REV" in os.environ:
        return os.environ["DVC_EXP_BASELINE_REV"]
    with Repo() as repo:
        try:
            return repo.scm.get_rev()
        except SCMError:
            return ""
