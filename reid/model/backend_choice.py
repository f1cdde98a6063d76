"""Which backend Keras computes with: chosen before Keras is imported, for it can't be changed."""

import os
from importlib.util import find_spec
from typing import Literal

from reid.common.errors import UserError

Backend = Literal["tensorflow", "jax"]


def choose(backend: Backend) -> None:
    """Let ``reid.model.backend`` import Keras with this backend.

    Raises:
        UserError: it is not installed.
    """
    if find_spec(backend) is None:
        raise UserError(
            f"backend: {backend} is not installed. Choose the other one, or install it: "
            "README.md says how, where it speaks of GPUs."
        )
    os.environ["KERAS_BACKEND"] = backend
