"""A network like another, weights included, with other settings for its layers."""

from collections.abc import Callable, Mapping
from typing import Any

from reid.model.backend import keras


def copied(
    model: keras.Model,
    settings: Callable[[keras.Operation], Mapping[str, Any]],
    kinds: Mapping[type[keras.Layer], type[keras.Layer]] | None = None,
) -> keras.Model:
    """Copy a functional network, weights and networks inside it included.

    Args:
        model: stays as it is.
        settings: a layer to the arguments of its constructor that change; none of them may change
            a weight's shape.
        kinds: layers of one class become those of another that has the same weights.
    """

    def copy(layer: keras.Operation) -> keras.Operation:
        kind = (kinds or {}).get(type(layer), type(layer))
        return kind.from_config({**layer.get_config(), **settings(layer)})

    copy_of_model = keras.models.clone_model(model, clone_function=copy, recursive=True)
    copy_of_model.set_weights(model.get_weights())
    return copy_of_model


def edited(model: keras.Model, changes: Mapping[str, Mapping[str, Any]]) -> keras.Model:
    """Copy a functional network with other settings for some layers.

    Args:
        model: stays as it is.
        changes: by the layer's name, the arguments of its constructor that change; none of them
            may change a weight's shape.

    Raises:
        ValueError: there is no such layer.
    """
    for name in changes:
        model.get_layer(name)
    return copied(model, lambda layer: changes.get(layer.name, {}))
