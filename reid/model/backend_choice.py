"""Choose the backend that Keras computes with, before Keras is imported."""

import os
from importlib.util import find_spec
from typing import Literal

from reid.common.errors import UserError

Backend = Literal["tensorflow", "jax"]


def choose(backend: Backend) -> None:
    """Make ``reid.model.backend`` import Keras with this backend; a later change has no effect.

    Raises:
        UserError: the backend is not installed.
    """
    if find_spec(backend) is None:
        raise UserError(
            f"backend: {backend} is not installed. Choose the other backend, or install this one "
            "as README.md says under Your own photos."
        )
    os.environ["KERAS_BACKEND"] = backend
