"""Where a training keeps its checkpoint, so that the next attempt finds it."""

from typing import TYPE_CHECKING

from reid.data.paths import TEMPORARY
from runs.project import project_root

if TYPE_CHECKING:
    from reid.training.checkpoint import Checkpoint


def checkpoint(key: str) -> "Checkpoint":
    """Return the checkpoint of a training stage, given the stage's ``inputs_hash``.

    Its folder lies in the project's own folder, also for temporary and queued experiments. So a
    training that was killed in one of them resumes in the next.
    """
    from reid.training.checkpoint import Checkpoint  # noqa: PLC0415

    return Checkpoint(project_root() / TEMPORARY / "checkpoints" / key[:16])
