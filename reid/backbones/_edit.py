"""A network like another, but for the settings of some layers."""

from collections.abc import Mapping
from typing import Any

from reid.backend import keras
from reid.copying import copied


def edited(model: keras.Model, changes: Mapping[str, Mapping[str, Any]]) -> keras.Model:
    """Copy a network, weights included, with other settings for some layers.

    Args:
        model: a functional one.
        changes: by the layer's name, the arguments of its constructor that change. None of them
            may change a weight's shape.
    """
    for name in changes:
        model.get_layer(name)  # an unknown name is an error

    return copied(model, lambda layer: changes.get(layer.name, {}))
