"""Export a trained network to the file that an engine reads.

The exported network takes photos as they are decoded, uint8 (n, height, width, 3), and gives their
embeddings, float32 (n, d), rows of length 1. All preparation of the pixels is inside.
"""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reid.inference.engine import FILES, EngineName, require_writers
from reid.model.backend import keras
from reid.model.cloning import copied
from reid.model.network import save_network
from reid.model.portable import over_root, product


class ConvolvedUnitNormalization(keras.layers.UnitNormalization):
    """Keras's layer for rows (n, d), as OpenVINO gives it the same bytes on every processor.

    OpenVINO sums a row in an order that depends on the processor. A convolution's order does not.
    """

    def call(self, inputs: keras.KerasTensor) -> Any:
        """Return rows of length 1; a row of zeros stays."""
        ones = keras.ops.ones((inputs.shape[-1], 1))
        return over_root(inputs, product(keras.ops.square(inputs), ones))


def export_network(model: keras.Model, engine: EngineName, folder: Path) -> Path:
    """Write a network to the file that an engine reads.

    In a new process, the same weights give the same bytes.

    Args:
        model: the network of `reid.model.network.retrieval_network`, on TensorFlow.
        engine: the engine that will read the file.
        folder: the folder of the file, which must exist.

    Returns:
        The file.

    Raises:
        UserError: a package that writes this kind of file is not installed.
    """
    require_writers(engine)
    file = folder / FILES[engine]
    match engine:
        case "openvino":
            _write_openvino(model, file)
        case "onnx":
            _write_onnx(model, file)
        case "tflite":
            model.export(file, format="litert", verbose=False)
        case "keras":
            save_network(model, file)
    return file


def _write_openvino(model: keras.Model, file: Path) -> None:
    from reid.inference.openvino_runtime import ov  # noqa: PLC0415

    model = copied(
        model, lambda _: {}, {keras.layers.UnitNormalization: ConvolvedUnitNormalization}
    )
    _, height, width, channels = model.input_shape
    with TemporaryDirectory() as folder:
        # Keras's own export to OpenVINO converts by a way that reports to OpenVINO's makers.
        _write_saved_model(model, folder)
        network = ov.Core().read_model(folder)
        network.reshape([-1, height, width, channels])
        # The names that TensorFlow gives count the operations of the whole process.
        for number, operation in enumerate(network.get_ordered_ops()):
            operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
        ov.save_model(network, file, compress_to_fp16=False)


def _write_saved_model(model: keras.Model, folder: str) -> None:
    """Write a SavedModel. Keras's own export traces the network several times for the same file."""
    import tensorflow as tf  # noqa: PLC0415

    photos = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name="photos")
    saved = tf.Module()
    saved.weights = [variable.value for variable in model.variables]
    saved.embed = tf.function(
        lambda photos: model(photos, training=False), input_signature=[photos], autograph=False
    )
    tf.saved_model.save(saved, folder, signatures=saved.embed)


def _write_onnx(model: keras.Model, file: Path) -> None:
    # Keras exports to this format only what has been called.
    model(keras.ops.zeros((1, *model.input_shape[1:]), "uint8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model.export(file, format="onnx", verbose=False)
