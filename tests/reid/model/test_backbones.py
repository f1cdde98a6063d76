"""Backbones against the papers' tables, Keras's own networks and naive convolutions."""

from functools import cache
from math import prod
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from reid.common.errors import UserError
from reid.model import backbones
from reid.model.backend import keras, make_deterministic
from reid.model.network import load_network, save_network

# At a sixteenth of this, rows are odd and columns even: Keras pads the two differently.
HEIGHT, WIDTH = 100, 64


@pytest.fixture(autouse=True, scope="module")
def _deterministic() -> None:
    # The number of threads can't change in a process; the training tests take the same.
    make_deterministic(seed=1, threads=2)


@cache
def built(name: str, last_stride: int) -> keras.Model:
    keras.utils.set_random_seed(1)
    return backbones.build(name, HEIGHT, WIDTH, 1.0, last_stride, "none")


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3)).astype(np.float32)


def outputs(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """What a network gives, without the time that compiling it for ``predict`` takes."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def output_of(model: keras.Model, layer: str) -> np.ndarray:
    """What a layer inside a network gives for ``images()``."""
    return outputs(keras.Model(model.input, model.get_layer(layer).output), images())


def learned(layer: keras.Layer) -> int:
    return sum(prod(weight.shape) for weight in layer.trainable_weights)


# What the papers count: without moving means and variances.
@pytest.mark.parametrize(
    ("name", "published", "left_out"),
    [
        # Torchvision's networks; left out is the classifier of 1,000 classes.
        ("mobilenet_v2", 3_504_872, 1280 * 1000 + 1000),
        ("mobilenet_v3_large", 5_483_032, 960 * 1280 + 1280 + 1280 * 1000 + 1000),
        # Keras's convolutions have biases beside their normalisation.
        (
            "resnet50",
            25_557_032,
            2048 * 1000
            + 1000
            - (64 + (3 * 6 + 4) * 64 + (4 * 6 + 4) * 128 + (6 * 6 + 4) * 256 + (3 * 6 + 4) * 512),
        ),
        # One column with its dense layers; the scales of the normalisation are not the paper's.
        (
            "alexnet",
            62_378_344,
            6 * 6 * 256 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
            - (96 + 256 + 384 + 384 + 256),
        ),
    ],
)  # fmt: skip
def test_parameters_are_as_many_as_published(name: str, published: int, left_out: int) -> None:
    assert learned(built(name, 2)) == published - left_out


@pytest.mark.parametrize(
    ("layer", "size", "inputs", "outputs"),
    [
        ("conv1", 11, 3, 96),
        ("conv2", 5, 96, 256),
        ("conv3", 3, 256, 384),
        ("conv4", 3, 384, 384),
        ("conv5", 3, 384, 256),
    ],
)
def test_alexnet_has_the_papers_convolutions(
    layer: str, size: int, inputs: int, outputs: int
) -> None:
    assert built("alexnet", 2).get_layer(layer).kernel.shape == (size, size, inputs, outputs)


# As printed by the authors' Torchreid ("2.2 M, 978.9 M" in the paper's Table 1), which adds up
# over calls: the gate that a block's four streams share counts four times.
@pytest.mark.parametrize(
    ("alpha", "parameters", "multiplications"),
    [(1.0, 2_193_616, 978_878_352), (0.25, 203_568, 82_316_000)],
)
def test_osnet_costs_what_its_authors_count(
    alpha: float, parameters: int, multiplications: int
) -> None:
    model = backbones.build("osnet", 256, 128, alpha, 1, "none")
    # The dense layer that follows in the paper, of 512 features, and its normalisation.
    channels = model.output_shape[-1]
    counted, multiplied = channels * 512 + 512 + 2 * 512, channels * 512 + 512
    for layer in model.layers:
        for node in layer._inbound_nodes:
            counted += learned(layer)
            if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
                _, rows, columns, _ = node.outputs[0].shape
                multiplied += rows * columns * learned(layer)
    assert (counted, multiplied) == (parameters, multiplications)


@pytest.mark.parametrize(
    ("name", "height", "width", "alpha", "last_stride", "shape"),
    [
        # The papers' own maps.
        ("mobilenet_v2", 224, 224, 1.0, 2, (7, 7, 1280)),
        ("mobilenet_v3_large", 224, 224, 1.0, 2, (7, 7, 960)),
        ("alexnet", 224, 224, 1.0, 2, (6, 6, 256)),
        ("mobilenet_v2", 128, 64, 1.4, 2, (4, 2, 1792)),
        ("mobilenet_v3_large", 128, 64, 0.75, 1, (8, 4, 720)),
        ("osnet", 128, 64, 0.5, 1, (8, 4, 256)),
        ("alexnet", 128, 64, 1.0, 1, (7, 3, 256)),
        # The smallest.
        ("mobilenet_v2", 32, 32, 0.35, 2, (1, 1, 1280)),
        ("mobilenet_v3_large", 32, 32, 0.35, 2, (1, 1, 336)),
        ("osnet", 32, 32, 0.25, 1, (2, 2, 128)),
        ("alexnet", 63, 63, 1.0, 2, (1, 1, 256)),
    ],
)
def test_map_has_the_expected_size(
    name: str, height: int, width: int, alpha: float, last_stride: int, shape: tuple[int, ...]
) -> None:
    model = backbones.build(name, height, width, alpha, last_stride, "none")
    image = np.zeros((1, height, width, 3), np.float32)
    assert model.output_shape == (None, *shape)
    assert outputs(model, image).shape == (1, *shape)


@pytest.mark.parametrize(
    ("name", "kept", "halved"),
    [
        ("mobilenet_v2", (7, 4), (4, 2)),
        ("mobilenet_v3_large", (7, 4), (4, 2)),
        ("resnet50", (7, 4), (4, 2)),
        ("alexnet", (5, 3), (2, 1)),
    ],
)
def test_last_stride_one_keeps_the_resolution(
    name: str, kept: tuple[int, int], halved: tuple[int, int]
) -> None:
    assert built(name, 1).output_shape[1:3] == kept
    assert built(name, 2).output_shape[1:3] == halved
    assert [w.shape for w in built(name, 1).weights] == [w.shape for w in built(name, 2).weights]


@pytest.mark.parametrize(
    ("name", "layer", "row", "column"),
    [
        # Padding by one side only, where the size is even, centres the first window on pixel 1.
        ("mobilenet_v2", "block_13_depthwise", 0, 1),
        ("mobilenet_v3_large", "expanded_conv_12_depthwise", 0, 1),
        ("resnet50", "conv5_block1_0_conv", 0, 0),
        ("resnet50", "conv5_block1_1_conv", 0, 0),
        ("alexnet", "pool5", 1, 1),
    ],
)
def test_last_stride_two_is_every_second_pixel_of_last_stride_one(
    name: str, layer: str, row: int, column: int, tmp_path: Path
) -> None:
    sparse = output_of(built(name, 2), layer)
    built(name, 2).save_weights(tmp_path / "a.weights.h5")
    backbones.load_weights(built(name, 1), str(tmp_path / "a.weights.h5"))
    dense = output_of(built(name, 1), layer)
    assert np.ptp(sparse) > 0
    np.testing.assert_allclose(sparse, dense[:, row::2, column::2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "padding", "convolution"),
    [
        ("mobilenet_v2", "block_13_pad", "block_13_depthwise"),
        ("mobilenet_v3_large", "expanded_conv_12_depthwise_pad", "expanded_conv_12_depthwise"),
    ],
)
def test_depthwise_convolution_of_stride_one_is_a_naive_one(
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
    np.testing.assert_allclose(output_of(model, convolution), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "stock", "preprocess"),
    [
        (
            "mobilenet_v2",
            keras.applications.MobileNetV2,
            keras.applications.mobilenet_v2.preprocess_input,
        ),
        (
            "mobilenet_v3_large",
            keras.applications.MobileNetV3Large,
            keras.applications.mobilenet_v3.preprocess_input,
        ),
        ("resnet50", keras.applications.ResNet50, keras.applications.resnet50.preprocess_input),
    ],
)
def test_weights_of_kerass_own_network_give_its_features(
    name: str, stock: type[keras.Model], preprocess: object, tmp_path: Path
) -> None:
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
    scaled = output_of(built(name, 1), "to_plus_minus_one")
    np.testing.assert_allclose(scaled, images() / 255 * 2 - 1, atol=1e-6)


def test_a_gate_of_osnet_weighs_all_streams_of_its_block() -> None:
    model = built("osnet", 1)
    hidden, gate = (model.get_layer(f"conv2a_{part}").get_weights() for part in ("hidden", "gate"))
    expected = 0
    for stream in range(1, 5):
        # Stream t is t light convolutions deep.
        x = output_of(model, f"conv2a_stream{stream}_{stream}_relu")
        mean = x.mean(axis=(1, 2), keepdims=True)
        weight = np.maximum(mean @ hidden[0][0, 0] + hidden[1], 0) @ gate[0][0, 0] + gate[1]
        expected += x / (1 + np.exp(-weight))
    np.testing.assert_allclose(output_of(model, "conv2a_fused"), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", backbones.names())
def test_batch_norm_follows_short_trainings(name: str) -> None:
    norms = [
        layer for layer in built(name, 1).layers if type(layer) is keras.layers.BatchNormalization
    ]
    assert norms
    assert {layer.momentum for layer in norms} == {backbones.NORM_MOMENTUM}


@pytest.mark.parametrize("name", backbones.names())
def test_saved_backbone_has_the_same_bytes_and_features(name: str, tmp_path: Path) -> None:
    model = built(name, 1)
    for file in ("a.keras", "b.keras"):
        save_network(model, tmp_path / file)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    loaded = load_network(tmp_path / "a.keras")
    assert np.array_equal(outputs(loaded, images()), outputs(model, images()))


@pytest.mark.parametrize("name", backbones.names())
def test_weights_file_goes_round(name: str, tmp_path: Path) -> None:
    model, path = built(name, 1), tmp_path / "a.weights.h5"
    model.save_weights(path)
    before = outputs(model, images())
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    assert not np.array_equal(outputs(model, images()), before)
    backbones.load_weights(model, str(path))
    assert np.array_equal(outputs(model, images()), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "resnet1"}, r"model\.backbone: no backbone 'resnet1'.*alexnet.*resnet50"),
        ({"name": "_limits"}, r"model\.backbone: no backbone '_limits'"),
        ({"name": "alexnet", "width": 62}, r"model\.width: alexnet needs .*63x63.*100x62"),
        ({"name": "resnet50", "height": 31}, r"model\.height.*resnet50 needs .*32x32.*31x64"),
        ({"name": "resnet50", "alpha": 0.5}, r"model\.alpha: resnet50 has 1\.0 only \(got 0\.5"),
        ({"name": "alexnet", "alpha": 1.4}, r"model\.alpha: alexnet has 1\.0 only"),
        ({"name": "osnet", "alpha": 1.5}, r"model\.alpha: osnet has 0\.25, 0\.5, 0\.75, 1\.0 only"),
        ({"name": "osnet", "last_stride": 2}, r"model\.last_stride: osnet has 1 only \(got 2"),
        ({"name": "osnet", "weights": "imagenet"}, r"model\.weights: .*no alpha.*\.weights\.h5"),
        ({"name": "alexnet", "weights": "imagenet"}, r"model\.weights: .*alexnet.*no alpha"),
        (
            {"name": "mobilenet_v3_large", "alpha": 0.5, "weights": "imagenet"},
            r"model\.weights: .*alpha 0\.75, 1\.0 \(got 0\.5\)",
        ),
        ({"weights": "absent.weights.h5"}, r"model\.weights: absent\.weights\.h5 is not there"),
    ],
)
def test_what_a_backbone_does_not_have_is_named(change: dict[str, object], message: str) -> None:
    usual = {
        "name": "mobilenet_v2",
        "height": HEIGHT,
        "width": WIDTH,
        "alpha": 1.0,
        "last_stride": 1,
        "weights": "none",
    }
    with pytest.raises(UserError, match=message):
        backbones.build(**(usual | change))


def test_weights_of_another_backbone_or_no_weights_are_named(tmp_path: Path) -> None:
    other, text = tmp_path / "other.weights.h5", tmp_path / "text.weights.h5"
    built("alexnet", 2).save_weights(other)
    text.write_text("no weights")
    for path in (other, text):
        with pytest.raises(UserError, match=rf"{path.name} doesn't fit mobilenet_v2"):
            backbones.build("mobilenet_v2", HEIGHT, WIDTH, 1.0, 2, str(path))


def test_download_is_what_a_backbone_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    theirs = keras.applications.MobileNetV2((96, 96, 3), 0.35, include_top=False, weights=None)
    # Keras takes what it downloaded before, in the format of the files that it offers.
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    with h5py.File(tmp_path / "models" / name, "w") as file:
        save_weights_to_hdf5_group(file, theirs)
    ours = backbones.build("mobilenet_v2", 96, 96, 0.35, 1, "imagenet")
    for weights, others in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)


def test_download_that_fails_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Weights that were downloaded before would be taken from Keras's cache.
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    failed = r"model\.weights: imagenet: the download of {}'s weights failed .* pretrained/{}\.$"
    only_one = r" \(`dvc pull pretrained\.dvc` brings that of mobilenet_v2 1\.0\)"
    for name, alpha in (("mobilenet_v2", 0.35), ("resnet50", 1.0)):
        with pytest.raises(UserError, match=failed.format(name, only_one)):
            backbones.build(name, 96, 96, alpha, 1, "imagenet")
