"""Keras, imported the one way that this project needs; every other file takes it from here."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Read once, when Keras and TensorFlow are imported. A user's ~/.keras/keras.json would choose the
# backend otherwise. oneDNN is off by default on some processors, where training without it is
# slower by a tenth and more.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Hold back what C++ prints before its log level counts; show it where the import fails."""
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


with _stderr_held_back():
    import keras

# What else ~/.keras/keras.json can change: results must not depend on an undeclared file.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")

__all__ = ["keras", "make_deterministic"]


def make_deterministic(seed: int, threads: int, xla: bool = False) -> None:
    """Let the same seed on the same kind of processor give the same bytes.

    Call it before the first tensor is made.

    Args:
        seed: of Python's, numpy's and Keras's generators.
        threads: of one operation; sums are split among them, so another number rounds otherwise.
        xla: whether steps are to be compiled with XLA, which Keras refuses where TensorFlow has to
            run its deterministic operations: these are left off then.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        if not xla:
            tf.config.experimental.enable_op_determinism()
