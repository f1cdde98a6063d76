"""The folder of a training's state, which one process at a time may work in."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

from reid.training.checkpoint import Checkpoint
from tests.support.places import ROOT

HOLDER = (
    "import sys; from pathlib import Path; from reid.training.checkpoint import Checkpoint\n"
    "with Checkpoint(Path(sys.argv[1])).alone(): print('held', flush=True); sys.stdin.readline()\n"
    "print('left', flush=True)"
)


class Told(logging.Handler):
    """Lets the other process go on as soon as something is said."""

    def __init__(self, other: "subprocess.Popen[str]") -> None:
        super().__init__()
        self.other = other
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        assert self.other.stdin
        self.other.stdin.close()


def test_second_training_of_a_kind_waits_and_says_so(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "states" / "state")
    logger = logging.getLogger("reid.training.checkpoint")
    logger.setLevel(logging.INFO)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(checkpoint.folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Timeout), checkpoint.alone(wait=False):
            pytest.fail("two work in one folder")
        logger.addHandler(told := Told(other))
        try:
            with checkpoint.alone():
                assert other.stdout.readline() == "left\n"
        finally:
            logger.removeHandler(told)
    assert len(told.said) == 1
    assert "waiting" in told.said[0]


def test_state_that_is_not_there_is_discarded_in_peace(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "state").discard()
    assert not list(tmp_path.iterdir())
