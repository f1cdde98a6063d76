"""Backbones against the papers' tables, Keras's own networks and naive convolutions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from reid.common.errors import UserError
from reid.model import backbones
from reid.model.backend import keras, make_deterministic
from reid.model.network import for_keeping, load_network, save_network

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 100, 64
"""At a sixteenth of this size, rows are odd and columns even: Keras pads the two differently."""

Size = tuple[int, int, float, int]
"""Height and width of the input, alpha, last_stride."""


@dataclass(frozen=True)
class Expected:
    """What is known of a backbone; the tests below hold for each of them."""

    maps: dict[Size, tuple[int, int, int]]
    """The rows, columns and channels of the map."""
    learned: int
    """The learnt parameters by the paper's count: without moving means and variances."""
    strided: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The layers that the last stride changes, and the pixel (row, column) of the dense map with
    which the sparse map begins."""
    stock: Callable[..., keras.Model] | None = None
    """Keras's own network."""
    preprocess: Callable[[np.ndarray], Any] | None = None
    """Keras's own preparation of images for it."""


EXPECTED = {
    "mobilenet_v2": Expected(
        maps={
            (224, 224, 1.0, 2): (7, 7, 1280),  # the paper's
            (128, 64, 1.4, 2): (4, 2, 1792),
            (32, 32, 0.35, 2): (1, 1, 1280),  # the smallest
            (HEIGHT, WIDTH, 1.0, 1): (7, 4, 1280),
            (HEIGHT, WIDTH, 1.0, 2): (4, 2, 1280),
        },
        # Torchvision's count, less the classifier of 1,000 classes.
        learned=3_504_872 - (1280 * 1000 + 1000),
        # Keras pads only one side if the size is even, which centres the first window on pixel 1.
        strided={"block_13_depthwise": (0, 1)},
        stock=keras.applications.MobileNetV2,
        preprocess=keras.applications.mobilenet_v2.preprocess_input,
    ),
    "mobilenet_v3_large": Expected(
        maps={
            (224, 224, 1.0, 2): (7, 7, 960),  # the paper's
            (32, 32, 0.35, 2): (1, 1, 336),  # the smallest
            (HEIGHT, WIDTH, 1.0, 1): (7, 4, 960),
            (HEIGHT, WIDTH, 1.0, 2): (4, 2, 960),
        },
        learned=5_483_032 - (960 * 1280 + 1280 + 1280 * 1000 + 1000),
        strided={"expanded_conv_12_depthwise": (0, 1)},
        stock=keras.applications.MobileNetV3Large,
        preprocess=keras.applications.mobilenet_v3.preprocess_input,
    ),
    "resnet50": Expected(
        maps={
            (HEIGHT, WIDTH, 1.0, 1): (7, 4, 2048),
            (HEIGHT, WIDTH, 1.0, 2): (4, 2, 2048),
        },
        # Keras's convolutions have biases besides their normalisation.
        learned=25_557_032
        - (2048 * 1000 + 1000)
        + (64 + (3 * 6 + 4) * 64 + (4 * 6 + 4) * 128 + (6 * 6 + 4) * 256 + (3 * 6 + 4) * 512),
        strided={"conv5_block1_0_conv": (0, 0), "conv5_block1_1_conv": (0, 0)},
        stock=keras.applications.ResNet50,
        preprocess=keras.applications.resnet50.preprocess_input,
    ),
    "alexnet": Expected(
        maps={
            (224, 224, 1.0, 2): (6, 6, 256),  # the paper's
            (128, 64, 1.0, 1): (7, 3, 256),
            (63, 63, 1.0, 2): (1, 1, 256),  # the smallest
            (HEIGHT, WIDTH, 1.0, 1): (5, 3, 256),
            (HEIGHT, WIDTH, 1.0, 2): (2, 1, 256),
        },
        # One column, less its dense layers; the scales of the normalisation are not the paper's.
        learned=62_378_344
        - (6 * 6 * 256 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000)
        + (96 + 256 + 384 + 384 + 256),
        strided={"pool5": (1, 1)},
    ),
    "osnet": Expected(
        maps={
            (32, 32, 0.25, 1): (2, 2, 128),  # the smallest
            (HEIGHT, WIDTH, 1.0, 1): (6, 4, 512),
        },
        # As its authors count (see below), less a dense layer and the shared gates' other calls.
        learned=2_193_616
        - (512 * 512 + 512 + 2 * 512)
        - 2 * 3 * sum(c * 2 * (c // 16) + c // 16 + c for c in (64, 96, 128)),
    ),
}
OF_KERAS = [name for name, expected in EXPECTED.items() if expected.stock]
WITH_LAST_STRIDE = [name for name, expected in EXPECTED.items() if expected.strided]


@pytest.fixture(autouse=True, scope="module")
def _deterministic() -> None:
    # The number of threads can't change in a process: all tests use the same.
    make_deterministic(seed=1, threads=2)


@cache
def built(name: str, last_stride: int) -> keras.Model:
    keras.utils.set_random_seed(1)
    return backbones.build(name, HEIGHT, WIDTH, 1.0, last_stride, "none")


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3)).astype(np.float32)


def outputs(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Return what a network gives, without the time that compiling it for ``predict`` takes."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def outputs_of(model: keras.Model, *layers: str) -> list[np.ndarray]:
    """Return what layers inside a network give for ``images()``."""
    inside = keras.Model(model.input, {layer: model.get_layer(layer).output for layer in layers})
    found = inside(images(), training=False)
    return [keras.ops.convert_to_numpy(found[layer]) for layer in layers]


def learned(layer: keras.Layer) -> int:
    return sum(prod(weight.shape) for weight in layer.trainable_weights)


def test_every_backbone_is_tested() -> None:
    assert sorted(EXPECTED) == backbones.names()


@pytest.mark.parametrize("name", EXPECTED)
def test_backbone_has_the_published_parameters_and_maps(name: str) -> None:
    assert learned(built(name, 1)) == EXPECTED[name].learned
    for (height, width, alpha, last_stride), shape in EXPECTED[name].maps.items():
        if (height, width, alpha) == (HEIGHT, WIDTH, 1.0):
            model = built(name, last_stride)
        else:
            model = backbones.build(name, height, width, alpha, last_stride, "none")
        assert model.output_shape == (None, *shape)


@pytest.mark.parametrize("name", EXPECTED)
def test_saved_backbone_has_the_same_weights_and_features(name: str, tmp_path: Path) -> None:
    model = built(name, 1)
    features = outputs(model, images())
    assert features.shape[1:] == EXPECTED[name].maps[HEIGHT, WIDTH, 1.0, 1]
    save_network(model, tmp_path / "a.keras")
    loaded = load_network(tmp_path / "a.keras")
    assert np.array_equal(outputs(loaded, images()), features)

    weights = tmp_path / "a.weights.h5"
    model.save_weights(weights)
    loaded.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    backbones.load_weights(loaded, str(weights))
    for found, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(found, expected)


def test_network_with_shared_layers_is_saved_in_the_same_bytes(tmp_path: Path) -> None:
    for file in ("a.keras", "b.keras"):
        save_network(for_keeping(built("osnet", 1)), tmp_path / file)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


@pytest.mark.parametrize("name", EXPECTED)
def test_batch_norm_of_a_backbone_follows_short_trainings(name: str) -> None:
    norms = [
        layer for layer in built(name, 1).layers if type(layer) is keras.layers.BatchNormalization
    ]
    assert norms
    assert {layer.momentum for layer in norms} == {backbones.NORM_MOMENTUM}


@pytest.mark.parametrize("name", WITH_LAST_STRIDE)
def test_last_stride_two_is_every_second_pixel_of_last_stride_one(
    name: str, tmp_path: Path
) -> None:
    layers = EXPECTED[name].strided
    strided, whole = built(name, 2), built(name, 1)
    assert [w.shape for w in whole.weights] == [w.shape for w in strided.weights]
    strided.save_weights(tmp_path / "a.weights.h5")
    backbones.load_weights(whole, str(tmp_path / "a.weights.h5"))
    found = zip(
        layers.values(), outputs_of(strided, *layers), outputs_of(whole, *layers), strict=True
    )
    for (row, column), sparse, dense in found:
        assert np.ptp(sparse) > 0
        np.testing.assert_allclose(sparse, dense[:, row::2, column::2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "padding", "convolution"),
    [
        ("mobilenet_v2", "block_13_pad", "block_13_depthwise"),
        ("mobilenet_v3_large", "expanded_conv_12_depthwise_pad", "expanded_conv_12_depthwise"),
    ],
)
def test_depthwise_convolution_of_stride_one_is_a_naive_convolution(
    name: str, padding: str, convolution: str
) -> None:
    model = built(name, 1)
    x = outputs(keras.Model(model.input, model.get_layer(padding).input), images())
    kernel = np.asarray(model.get_layer(convolution).kernel)[..., 0]
    size = len(kernel)
    _, rows, columns, _ = x.shape
    border = size // 2
    padded = np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
    expected = sum(
        kernel[i, j] * padded[:, i : i + rows, j : j + columns]
        for i in range(size)
        for j in range(size)
    )
    (found,) = outputs_of(model, convolution)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OF_KERAS)
def test_backbone_with_weights_of_keras_gives_the_features_of_keras(
    name: str, tmp_path: Path
) -> None:
    stock, preprocess = EXPECTED[name].stock, EXPECTED[name].preprocess
    assert stock
    assert preprocess
    keras.utils.set_random_seed(2)
    model = stock(input_shape=(HEIGHT, WIDTH, 3), include_top=False, weights=None)
    model.save_weights(tmp_path / "stock.weights.h5")
    backbones.load_weights(built(name, 2), str(tmp_path / "stock.weights.h5"))
    expected = outputs(model, preprocess(images()))
    assert np.ptp(expected) > 0
    features = outputs(built(name, 2), images())
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4 * np.ptp(expected))


@pytest.mark.parametrize("name", ["alexnet", "osnet"])
def test_images_are_scaled_to_plus_minus_one(name: str) -> None:
    (scaled,) = outputs_of(built(name, 1), "to_plus_minus_one")
    np.testing.assert_allclose(scaled, images() / 255 * 2 - 1, atol=1e-6)


def test_alexnet_has_the_convolutions_of_the_paper() -> None:
    kernels = {
        "conv1": (11, 11, 3, 96),
        "conv2": (5, 5, 96, 256),
        "conv3": (3, 3, 256, 384),
        "conv4": (3, 3, 384, 384),
        "conv5": (3, 3, 384, 256),
    }
    model = built("alexnet", 2)
    assert {name: model.get_layer(name).kernel.shape for name in kernels} == kernels


def test_gate_of_osnet_weighs_all_streams_of_its_block() -> None:
    model = built("osnet", 1)
    hidden, gate = (model.get_layer(f"conv2a_{part}").get_weights() for part in ("hidden", "gate"))
    # Stream t is t light convolutions deep.
    streams = [f"conv2a_stream{stream}_{stream}_relu" for stream in range(1, 5)]
    *outputs_of_streams, fused = outputs_of(model, *streams, "conv2a_fused")
    expected = np.zeros_like(fused)
    for x in outputs_of_streams:
        mean = x.mean(axis=(1, 2), keepdims=True)
        weight = np.maximum(mean @ hidden[0][0, 0] + hidden[1], 0) @ gate[0][0, 0] + gate[1]
        expected += x / (1 + np.exp(-weight))
    np.testing.assert_allclose(fused, expected, rtol=1e-4, atol=1e-5)


# As Torchreid, the authors' library, prints them ("2.2 M, 978.9 M" in the paper's Table 1). It adds
# up calls, so the gate that the four streams of a block share counts four times.
@pytest.mark.parametrize(
    ("alpha", "parameters", "multiplications"),
    [(1.0, 2_193_616, 978_878_352), (0.25, 203_568, 82_316_000)],
)
def test_osnet_costs_what_its_authors_count(
    alpha: float, parameters: int, multiplications: int
) -> None:
    model = backbones.build("osnet", 256, 128, alpha, 1, "none")
    # In the paper, a dense layer of 512 features and its normalisation follow.
    channels = model.output_shape[-1]
    counted, multiplied = channels * 512 + 512 + 2 * 512, channels * 512 + 512
    for layer in model.layers:
        for node in layer._inbound_nodes:
            counted += learned(layer)
            if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
                _, rows, columns, _ = node.outputs[0].shape
                multiplied += rows * columns * learned(layer)
    assert (counted, multiplied) == (parameters, multiplications)


def test_backbone_that_git_does_not_know_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in an experiment in a temporary folder or in DVC's queue.
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    file = tmp_path / "reid" / "model" / "backbones" / "mine.py"
    file.parent.mkdir(parents=True)
    with pytest.raises(UserError, match=r"no backbone 'mine'\. Choose one of"):
        backbones.build("mine", HEIGHT, WIDTH, 1, 2, "none")
    file.touch()
    with pytest.raises(UserError, match=r"'mine'.*`git add reid/model/backbones/mine\.py`"):
        backbones.build("mine", HEIGHT, WIDTH, 1, 2, "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "resnet1"}, r"there is no backbone 'resnet1'.*alexnet.*resnet50"),
        ({"name": "_limits"}, r"model\.backbone: there is no backbone '_limits'"),
        ({"name": "alexnet", "width": 62}, r"model\.width: alexnet needs .*63x63.*100x62"),
        ({"name": "resnet50", "height": 31}, r"model\.height.*resnet50 needs .*32x32.*31x64"),
        ({"name": "resnet50", "alpha": 0.5}, r"model\.alpha: resnet50 takes only 1\.0 \(got 0\.5"),
        ({"name": "alexnet", "alpha": 1.4}, r"model\.alpha: alexnet takes only 1\.0"),
        ({"name": "osnet", "alpha": 1.5}, r"alpha: osnet takes only 0\.25, 0\.5, 0\.75, 1\.0"),
        ({"name": "osnet", "last_stride": 2}, r"model\.last_stride: osnet takes only 1 \(got 2"),
        ({"name": "osnet", "weights": "imagenet"}, r"model\.weights: .*no alpha.*\.weights\.h5"),
        ({"name": "alexnet", "weights": "imagenet"}, r"model\.weights: .*alexnet.*no alpha"),
        (
            {"name": "mobilenet_v3_large", "alpha": 0.5, "weights": "imagenet"},
            r"model\.weights: .*alpha 0\.75, 1\.0 \(got 0\.5\)",
        ),
        ({"weights": "absent.weights.h5"}, r"model\.weights: absent\.weights\.h5 is not there"),
    ],
)
def test_impossible_parameter_of_a_backbone_is_named(change: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {
        "name": "mobilenet_v2",
        "height": HEIGHT,
        "width": WIDTH,
        "alpha": 1.0,
        "last_stride": 1,
        "weights": "none",
    }
    with pytest.raises(UserError, match=message):
        backbones.build(**(usual | change))


def test_file_without_the_weights_of_this_backbone_is_named(tmp_path: Path) -> None:
    other, text = tmp_path / "other.weights.h5", tmp_path / "text.weights.h5"
    built("alexnet", 2).save_weights(other)
    text.write_text("no weights")
    for path in (other, text):
        with pytest.raises(UserError, match=rf"{path.name} doesn't fit mobilenet_v2"):
            backbones.load_weights(built("mobilenet_v2", 2), str(path))


def test_pointer_in_place_of_the_weights_is_named(tmp_path: Path) -> None:
    pointer = tmp_path / "pointer.weights.h5"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(UserError, match=r"pointer.weights.h5 is a Git LFS pointer: .*git lfs pull"):
        backbones.load_weights(built("mobilenet_v2", 2), str(pointer))


def test_backbone_starts_from_the_download_of_keras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    theirs = keras.applications.MobileNetV2((96, 96, 3), 0.35, include_top=False, weights=None)
    # Keras takes a file from its cache, which is in the format of its downloads.
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    with h5py.File(tmp_path / "models" / name, "w") as file:
        save_weights_to_hdf5_group(file, theirs)
    ours = backbones.build("mobilenet_v2", 96, 96, 0.35, 1, "imagenet")
    for weights, others in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)


def test_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An empty cache: Keras would use weights that it downloaded before.
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    failed = r"model\.weights: imagenet: the download of {}'s weights failed .* pretrained/{}\.$"
    only_one = r" \(`dvc pull pretrained\.dvc` brings the file of mobilenet_v2 1\.0\)"
    for name, alpha in (("mobilenet_v2", 0.35), ("resnet50", 1.0)):
        with pytest.raises(UserError, match=failed.format(name, only_one)):
            backbones.build(name, 96, 96, alpha, 1, "imagenet")
