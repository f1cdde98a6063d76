"""The network of both models: images in; feature, embedding and logits of the people out."""

import json
import re
import zipfile
from pathlib import Path

from reid.common.errors import UserError, first_line
from reid.common.files import replacing_file
from reid.model import backbones
from reid.model.architecture import Architecture, Precision
from reid.model.backend import keras
from reid.model.cloning import copied
from reid.model.fused_norm import FusedBatchNormalization
from reid.model.pooling import GeneralisedMeanPooling2D

BACKBONE = "backbone"
FEATURE, EMBEDDING, LOGITS = "feature", "embedding", "logits"
POOLING = {"average": keras.layers.GlobalAveragePooling2D, "gem": GeneralisedMeanPooling2D}

# Lengths and logits are sums, too long for half precision.
FULL_PRECISION = (FEATURE, EMBEDDING, LOGITS)

# The first date that a zip archive can hold.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_network(how: Architecture, weights: str, classes: int) -> keras.Model:
    """Backbone, pooling, batch-norm neck and the softmax's logits.

    The neck is that of Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person
    Re-Identification", 2019: the triplet loss works on what enters it, the softmax and the
    retrieval on what leaves it.

    Args:
        how: the parts and the input's size.
        weights: ``imagenet``, ``none`` or the path of a file, as ``backbones.build`` takes it.
        classes: people to train on.

    Returns:
        A model from images (n, height, width, 3) in 0..255 to a dict: ``feature`` (n, d) as the
        pooling gives it, ``embedding`` (n, d) after the neck with length 1, ``logits``
        (n, classes). d is the backbone's number of channels, 1,280 for MobileNetV2.
    """
    image = keras.Input((how.height, how.width, 3), name="image")
    backbone = backbones.build(
        how.backbone, how.height, how.width, how.alpha, how.last_stride, weights
    )
    backbone.name = BACKBONE
    pool = POOLING[how.pooling](name=FEATURE)
    feature = pool(backbone(image))
    neck = feature
    if how.neck:
        neck = keras.layers.BatchNormalization(
            center=False, momentum=backbones.NORM_MOMENTUM, name="neck"
        )(feature)
    embedding = keras.layers.UnitNormalization(name=EMBEDDING)(neck)
    logits = keras.layers.Dense(
        classes,
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        name=LOGITS,
    )(neck)
    return keras.Model(image, {FEATURE: feature, EMBEDDING: embedding, LOGITS: logits}, name="reid")


def for_training(
    network: keras.Model, precision: Precision = "float32", xla: bool = False
) -> keras.Model:
    """The same network, weights included, that trains quickly and computes in a precision.

    ``xla``: whether TensorFlow's steps are to be compiled. XLA joins the operations by itself,
    and in batch norm's one kernel its variance is E[x^2] - E[x]^2, which rounding makes negative
    where the mean is large.
    """
    norm = keras.layers.BatchNormalization
    return _converted(network, precision, norm, norm if xla else FusedBatchNormalization)


def for_keeping(network: keras.Model) -> keras.Model:
    """The same network, weights included, in float32 and with Keras's own layers.

    But for the generalised mean, which Keras lacks: a network with it needs ``reid.model.pooling``.
    """
    return _converted(network, "float32", FusedBatchNormalization, keras.layers.BatchNormalization)


def _converted(
    network: keras.Model,
    precision: Precision,
    norm: type[keras.Layer],
    new_norm: type[keras.Layer],
) -> keras.Model:
    def settings(layer: keras.Operation) -> dict[str, str]:
        # Plain operations among the layers, such as a sum, have no precision of their own.
        converts = isinstance(layer, keras.Layer) and layer.name not in FULL_PRECISION
        return {"dtype": precision} if converts else {}

    return copied(network, settings, {norm: new_norm})


def compute_type(network: keras.Model) -> str:
    """The type that a network's backbone computes in: float32, bfloat16 or float16."""
    computing: str = network.get_layer(BACKBONE).layers[-1].compute_dtype
    return computing


def embedder(network: keras.Model) -> keras.Model:
    """The part of a network that retrieval needs: images to embeddings (n, d) of length 1."""
    return keras.Model(network.input, network.output[EMBEDDING], name=EMBEDDING)


def save_network(network: keras.Model, path: Path) -> None:
    """Save as ``.keras`` without optimizer, with the same bytes for the same weights."""
    # A model made anew has no optimizer to save along, and whoever loads it may have no GPU.
    bare = for_keeping(network)
    with replacing_file(path) as part:
        saved = part.with_suffix(".keras")
        try:
            bare.save(saved)
            _settle(saved, part)
        finally:
            saved.unlink(missing_ok=True)


def _settle(source: Path, target: Path) -> None:
    """Copy a ``.keras`` archive without what differs at every save: dates and memory addresses."""
    with zipfile.ZipFile(source) as saved, zipfile.ZipFile(target, "w") as settled:
        for name in sorted(saved.namelist()):
            content = saved.read(name)
            if name == "metadata.json":
                metadata = {k: v for k, v in json.loads(content).items() if k != "date_saved"}
                content = json.dumps(metadata).encode()
            elif name == "config.json":
                content = _numbered_objects(content.decode()).encode()
            settled.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)


def _numbered_objects(config: str) -> str:
    """Number shared objects in the order in which they appear; Keras names them by address."""
    numbers: dict[str, int] = {}
    return re.sub(
        r'(?<="shared_object_id": )\d+',
        lambda found: str(numbers.setdefault(found[0], len(numbers))),
        config,
    )


def load_network(path: Path) -> keras.Model:
    """Load what ``save_network`` wrote. Raises UserError where the file is absent or damaged."""
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, zipfile.BadZipFile, KeyError) as e:
        raise UserError(
            f"{path} is no model that can be loaded ({first_line(e)}). `dvc repro` makes it."
        ) from e
