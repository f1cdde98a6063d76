"""Backbones by name. A backbone is one file here with ``LIMITS`` and a ``build``."""

import warnings
from importlib import import_module
from pkgutil import iter_modules

from reid.common.errors import UserError, first_line
from reid.model.backend import keras

NORM_MOMENTUM = 0.9
"""Of the moving mean and variance of batch normalisation."""


def names() -> list[str]:
    """The names that ``build`` takes: this package's files but for those that these share."""
    files = (module.name for module in iter_modules(__path__))
    return sorted(name for name in files if not name.startswith("_"))


def build(
    name: str, height: int, width: int, alpha: float, last_stride: int, weights: str
) -> keras.Model:
    """Build a backbone by name, from images to a feature map.

    Args:
        name: one of ``names()``.
        height: of the input, pixels.
        width: of the input, pixels.
        alpha: width multiplier of the channels.
        last_stride: of the last stage that reduces; 1 leaves a map of twice the rows and columns
            (Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person
            Re-Identification", 2019, "last stride").
        weights: ``imagenet`` for Keras's download, ``none``, or a ``.weights.h5`` file.

    Returns:
        A model from (n, height, width, 3) in 0..255, which it scales as its weights expect, to
        (n, rows, columns, channels).

    Raises:
        UserError: no such backbone, parameters that it doesn't have, or weights that can't be had
            or don't fit.
    """
    if name not in names():
        raise UserError(
            f"model.backbone: no backbone {name!r}. Choose one of {', '.join(names())}."
        )
    module = import_module(f"{__name__}.{name}")
    module.LIMITS.check(name, height, width, alpha, last_stride, weights)
    download = "imagenet" if weights == "imagenet" else None
    try:
        model = module.build(height, width, alpha, last_stride, download)
    except Exception as e:
        if not download:
            raise
        # Keras wraps every kind of network failure in a bare Exception.
        raise UserError(
            f"model.weights: imagenet: the download of {name}'s weights failed ({e}). Check the "
            "network, or name a .weights.h5 file in pretrained/ (`dvc pull pretrained.dvc` brings "
            "that of mobilenet_v2 1.0)."
        ) from e
    if weights not in ("imagenet", "none"):
        load_weights(model, weights)
    _follow_short_trainings(model)
    return model


def _follow_short_trainings(model: keras.Model) -> None:
    # Keras's applications average batch statistics over the last thousand steps and more, which is
    # all of a short training: its validation would see the statistics of ImageNet.
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = NORM_MOMENTUM


def load_weights(model: keras.Model, path: str) -> None:
    """Load a ``.weights.h5`` file into a model. Raises UserError if it is absent or doesn't fit."""
    try:
        with warnings.catch_warnings():
            # Keras warns of every group that a file lacks, and then raises what counts.
            warnings.simplefilter("ignore", UserWarning)
            model.load_weights(path)
    except FileNotFoundError as e:
        raise UserError(
            f"model.weights: {path} is not there. `dvc pull pretrained.dvc` brings the tracked "
            "weights; `imagenet` downloads Keras's, `none` starts from random ones."
        ) from e
    except (ValueError, OSError, KeyError) as e:
        raise UserError(
            f"model.weights: {path} doesn't fit {model.name} ({first_line(e)}). "
            "Weights belong to one backbone and one alpha."
        ) from e
