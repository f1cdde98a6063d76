"""Backbones by name. Each backbone is a file in this folder with ``LIMITS`` and ``build``."""

import os
import warnings
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from reid.common.errors import UserError, first_line
from reid.common.file_type import file_type, read_head
from reid.model.backend import keras

NORM_MOMENTUM = 0.9
"""The momentum of the moving mean and variance of batch normalisation."""


def names() -> list[str]:
    """List the names that ``build`` takes: the files of this folder without a leading ``_``."""
    files = (module.name for module in iter_modules(__path__))
    return sorted(name for name in files if not name.startswith("_"))


def build(
    name: str, height: int, width: int, alpha: float, last_stride: int, weights: str
) -> keras.Model:
    """Build a backbone, a network from images to a feature map.

    Args:
        name: one of ``names()``.
        height: the height of the input, pixels.
        width: the width of the input, pixels.
        alpha: the factor of the numbers of channels.
        last_stride: the stride of the last stage that reduces the map; 1 leaves a map with twice
            the rows and columns (Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person
            Re-Identification", 2019, "last stride").
        weights: ``imagenet`` for Keras's download, ``none``, or a ``.weights.h5`` file.

    Returns:
        A model from (n, height, width, 3) in 0..255 to (n, rows, columns, channels). It scales
        images as its weights expect.

    Raises:
        UserError: there is no such backbone, it can't be built with these parameters, or the
            weights can't be read or don't fit.
    """
    if name not in names():
        raise UserError(
            f"model.backbone: there is no backbone {name!r}. {_where_it_is(name) or _choices()}"
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
            "the file of mobilenet_v2 1.0)."
        ) from e
    if weights not in ("imagenet", "none"):
        load_weights(model, weights)
    _follow_short_trainings(model)
    return model


def _choices() -> str:
    return f"Choose one of {', '.join(names())}."


def _where_it_is(name: str) -> str:
    """Say what to do if git doesn't know the file of a backbone; empty if there is no file.

    DVC names the project's folder in ``DVC_ROOT``, also in an experiment that runs elsewhere.
    """
    file = Path(*__name__.split("."), f"{name}.py")
    project = os.environ.get("DVC_ROOT", "")
    if name.startswith("_") or not (project and (Path(project) / file).is_file()):
        return ""
    return (
        f"{file} lies in {project}, but an experiment in a temporary folder or in the queue has "
        f"only the files that git knows. Run `git add {file}` and start the experiment again."
    )


def _follow_short_trainings(model: keras.Model) -> None:
    """Average batch statistics over fewer steps than Keras does.

    Keras's applications average them over the last thousand steps and more. A short training has
    fewer steps than that, and its validation would still see the statistics of ImageNet.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = NORM_MOMENTUM


def load_weights(model: keras.Model, path: str) -> None:
    """Load a ``.weights.h5`` file into a model.

    Raises:
        UserError: the file is absent, doesn't fit, or is something else, such as a Git LFS pointer.
    """
    try:
        with warnings.catch_warnings():
            # Keras warns of every group that a file lacks before it raises the error.
            warnings.simplefilter("ignore", UserWarning)
            model.load_weights(path)
    except FileNotFoundError as e:
        raise UserError(
            f"model.weights: {path} is not there. `dvc pull pretrained.dvc` brings the tracked "
            "weights, `imagenet` downloads Keras's weights, `none` starts from random weights."
        ) from e
    except (ValueError, OSError, KeyError) as e:
        if kind := file_type(read_head(Path(path))):
            raise UserError(f"model.weights: {path} is {kind.words}: {kind.advice}.") from e
        raise UserError(
            f"model.weights: {path} doesn't fit {model.name} ({first_line(e)}). "
            "Weights belong to one backbone and one alpha."
        ) from e
