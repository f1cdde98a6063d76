"""Import Keras as this project needs it; all other files import it from here."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Keras and TensorFlow read these once, when they are imported. Without the first, a user's
# ~/.keras/keras.json would choose the backend. oneDNN is off by default on some processors, and
# training on them is slower by a tenth or more without it.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Hold back what C++ prints before it knows its log level; show it if the import fails."""
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

# ~/.keras/keras.json can change these too, but results must not depend on an undeclared file.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")

__all__ = ["keras", "make_deterministic"]


def make_deterministic(seed: int, threads: int) -> None:
    """Make the same seed give the same bytes; `use_instructions` says on which processors.

    Call this before the first tensor is made.

    Args:
        seed: the seed of Python's, numpy's and Keras's generators.
        threads: the threads of one operation of TensorFlow. Sums are split among the threads, so
            another number of threads rounds differently.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.experimental.enable_op_determinism()
