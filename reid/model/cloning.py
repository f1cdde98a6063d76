"""Copy a network, weights included, with other settings for its layers."""

from collections.abc import Callable, Mapping
from typing import Any

from reid.model.backend import keras


def copied(
    model: keras.Model,
    settings: Callable[[keras.Operation], Mapping[str, Any]],
    kinds: Mapping[type[keras.Layer], type[keras.Layer]] | None = None,
) -> keras.Model:
    """Copy a functional network, with its weights and the networks inside it.

    Args:
        model: the network to copy; it stays as it is.
        settings: the function from a layer to the constructor arguments that change. None of them
            may change the shape of a weight.
        kinds: classes of layers to replace by other classes, which must have the same weights.
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
        model: the network to copy; it stays as it is.
        changes: for each name of a layer, the constructor arguments that change. None of them may
            change the shape of a weight.

    Raises:
        ValueError: the network has no layer of that name.
    """
    for name in changes:
        model.get_layer(name)
    return copied(model, lambda layer: changes.get(layer.name, {}))
