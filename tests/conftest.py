"""What holds for all tests."""

import sys


def pytest_collection_finish() -> None:
    """Set TensorFlow's threads before its first tensor, whichever test that is in: it can't after.

    Nothing is imported for it where no test needs Keras.
    """
    if "reid.model.backend" in sys.modules:
        from reid.model.backend import make_deterministic  # noqa: PLC0415

        make_deterministic(seed=1, threads=2)
