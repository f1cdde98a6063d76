"""The network of both models, from images to features, embeddings and logits."""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from reid.common.errors import UserError, first_line
from reid.common.files import replacing_file
from reid.model import backbones
from reid.model.architecture import Architecture, Precision
from reid.model.backend import keras
from reid.model.cloning import copied
from reid.model.fused_norm import FusedBatchNormalization
from reid.model.pooling import GeneralisedMeanPooling2D
from reid.model.portable import PortableDense, PortableUnitNormalization

BACKBONE = "backbone"
FEATURE, EMBEDDING, LOGITS = "feature", "embedding", "logits"
POOLING = {"average": keras.layers.GlobalAveragePooling2D, "gem": GeneralisedMeanPooling2D}

FULL_PRECISION = (FEATURE, EMBEDDING, LOGITS)
"""The layers that always compute in float32: their sums are too long for half precision."""

COMPUTING: Mapping[type[keras.Layer], type[keras.Layer]] = {
    keras.layers.BatchNormalization: FusedBatchNormalization,
    keras.layers.Dense: PortableDense,
    keras.layers.UnitNormalization: PortableUnitNormalization,
}
"""The layers of Keras, and those with the same weights that take their place while it computes."""

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip archive can hold."""


def build_network(how: Architecture, weights: str, classes: int) -> keras.Model:
    """Build a network of backbone, pooling, batch-norm neck and the logits of the softmax.

    The neck is from Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person
    Re-Identification", 2019. The triplet loss sees the features that enter the neck; softmax and
    retrieval see the features that leave it.

    Args:
        how: the parts and the input's size.
        weights: ``imagenet``, ``none`` or the path of a file, as for ``backbones.build``.
        classes: the number of people to train on.

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


def for_computing(network: keras.Model, precision: Precision = "float32") -> keras.Model:
    """Copy a network for computing: fast in training, and with the same rounding on all processors.

    Args:
        network: a network of ``build_network`` or ``retrieval_network``.
        precision: the type to compute in.
    """
    return _converted(network, precision, COMPUTING)


def for_keeping(network: keras.Model) -> keras.Model:
    """Copy a network so that it computes in float32, with layers of Keras alone.

    The generalised mean is the exception, because Keras lacks it: to load a network with it,
    ``reid.model.pooling`` must be imported.
    """
    return _converted(network, "float32", {ours: kept for kept, ours in COMPUTING.items()})


def _converted(
    network: keras.Model,
    precision: Precision,
    kinds: Mapping[type[keras.Layer], type[keras.Layer]],
) -> keras.Model:
    """Copy a network with another precision, and with classes of layers replaced."""

    def settings(layer: keras.Operation) -> dict[str, str]:
        # Plain operations among the layers, such as a sum, have no precision.
        converts = isinstance(layer, keras.Layer) and layer.name not in FULL_PRECISION
        return {"dtype": precision} if converts else {}

    return copied(network, settings, kinds)


def compute_type(network: keras.Model) -> str:
    """Return the type that a network's backbone computes in: float32, bfloat16 or float16."""
    computing: str = network.get_layer(BACKBONE).layers[-1].compute_dtype
    return computing


def embedder(network: keras.Model) -> keras.Model:
    """Return the part that retrieval needs: images to embeddings (n, d) of length 1."""
    return keras.Model(network.input, network.output[EMBEDDING], name=EMBEDDING)


def retrieval_network(network: keras.Model, flip: bool) -> keras.Model:
    """Return the function from photos to embeddings.

    Args:
        network: a network of ``load_network``.
        flip: whether the embedding is the mean of the photo's and its mirror image's, brought to
            length 1 (Wang et al., "Learning Discriminative Features with Multiple Granularities for
            Person Re-Identification", 2018).

    Returns:
        A model from photos, uint8 (n, height, width, 3), to embeddings (n, d) of length 1.
    """
    embedding = embedder(network)
    photos = keras.Input(network.input_shape[1:], dtype="uint8", name="photos")
    images = keras.ops.cast(photos, "float32")
    if not flip:
        return keras.Model(photos, embedding(images), name="retrieval")
    # In one batch: for a single photo, two batches of one take longer.
    both = embedding(keras.ops.concatenate([images, keras.ops.flip(images, axis=2)]))
    total = keras.ops.sum(keras.ops.reshape(both, (2, -1, both.shape[-1])), axis=0)
    mean = keras.layers.UnitNormalization(name="mean")(total)
    return keras.Model(photos, mean, name="retrieval")


def save_network(network: keras.Model, path: Path) -> None:
    """Save as ``.keras``; the same weights give the same bytes.

    Args:
        network: a network without an optimizer, such as `for_keeping` makes.
        path: the file.
    """
    with replacing_file(path) as part:
        saved = part.with_suffix(".keras")
        try:
            network.save(saved)
            _settle(saved, part)
        finally:
            saved.unlink(missing_ok=True)


def _settle(source: Path, target: Path) -> None:
    """Copy a ``.keras`` archive without dates and memory addresses, which differ at every save."""
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
    """Number shared objects in their order; Keras names them by their address in memory."""
    numbers: dict[str, int] = {}
    return re.sub(
        r'(?<="shared_object_id": )\d+',
        lambda found: str(numbers.setdefault(found[0], len(numbers))),
        config,
    )


def load_network(path: Path) -> keras.Model:
    """Load a file of ``save_network``. Raise UserError if the file is absent or damaged."""
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, zipfile.BadZipFile, KeyError) as e:
        raise UserError(
            f"{path} can't be loaded as a model ({first_line(e)}). `dvc repro` makes it again."
        ) from e
