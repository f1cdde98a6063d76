"""A folder to hand over: an exported network with an example program and a README.

The network is checked against the one in Keras that it was exported from.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reid.common.errors import UserError
from reid.common.files import replacing_folder
from reid.data.images import decode_all
from reid.inference.engine import ENGINE_NEEDS, EngineName, load_engine
from reid.inference.export import export_network
from reid.inference.int8 import quantise
from reid.model.network import load_network, retrieval_network

LARGEST_DIFFERENCE = 1e-4
"""The largest difference of a number of an embedding from Keras's that is accepted in float32."""
LEAST_SIMILARITY = 0.95
"""The lowest mean cosine of embeddings and Keras's that is accepted in int8."""
EXAMPLES = Path(__file__).with_name("assets")
README = """# A person re-identification network, format {name}

`{file}` turns photos of people into embeddings. Photos of one person have similar embeddings.

| | |
|---|---|
| input | photos of one person each, cut out, RGB, uint8 (n, {height}, {width}, 3) |
| output | embeddings, float32 (n, {dimension}), each of length 1 |
| similarity | the dot product of two embeddings, from -1 to 1 |
| mirrored | {mirrored} |
| made from | `{weights}` |
| compared with Keras, on {count} photos | {comparison} |

Scale photos to {height}x{width} (bilinear); all other preparation is inside the network. To try it:

```bash
pip install numpy pillow {packages}
python example.py one.jpg two.jpg
```
"""


def _pinned(engine: EngineName) -> list[str]:
    """Return the lines for pip of an engine's packages, as this process has imported them."""
    imported = [name for name in ENGINE_NEEDS[engine] if name in sys.modules]
    return [f"{name}=={sys.modules[name].__version__.partition('-')[0]}" for name in imported]


def write_bundle(
    weights: Path,
    name: EngineName,
    flip: bool,
    photos: Sequence[bytes],
    destination: Path,
    calibration: Sequence[bytes] = (),
) -> str:
    """Write the folder.

    Args:
        weights: a ``.keras`` file of a trained model.
        name: the format.
        flip: whether the embedding is the mean of the photo's and its mirror image's.
        photos: image files to check the network with.
        destination: the folder, which must not exist yet.
        calibration: image files of training people, for a network of OpenVINO in int8; none for
            float32.

    Returns:
        How near the embeddings are to those of Keras, in words.

    Raises:
        UserError: the folder exists, the file can't be loaded, or the difference is too large.
    """
    if destination.exists():
        raise UserError(f"{destination} exists already. Name a new folder.")
    model = retrieval_network(load_network(weights), flip)
    with replacing_folder(destination) as part:
        file = export_network(model, name, part)
        _, height, width, _ = model.input_shape
        if calibration:
            quantise(file, decode_all(calibration, height, width))
        engine = load_engine(part)
        images = decode_all(photos, height, width)
        embeddings, expected = engine.embed([images]), np.asarray(model.predict_on_batch(images))
        compare = _similarity if calibration else _difference
        comparison, is_accepted = compare(embeddings, expected)
        if not is_accepted:
            raise UserError(f"{weights} as {name}: {comparison}. Nothing was written.")
        shutil.copyfile(EXAMPLES / f"example_{name}.py", part / "example.py")
        text = README.format(
            name=name,
            file=file.name,
            height=height,
            width=width,
            dimension=engine.dimension,
            mirrored="the mean with the mirror image's embedding" if flip else "no",
            weights=weights.name,
            comparison=comparison,
            count=len(photos),
            packages=" ".join(_pinned(name)),
        )
        (part / "README.md").write_text(text, encoding="utf-8")
    return comparison


def _difference(embeddings: np.ndarray, expected: np.ndarray) -> tuple[str, bool]:
    largest = float(np.abs(embeddings - expected).max())
    said = f"largest difference {largest:.1g}, at most {LARGEST_DIFFERENCE:g} is accepted"
    return said, largest <= LARGEST_DIFFERENCE


def _similarity(embeddings: np.ndarray, expected: np.ndarray) -> tuple[str, bool]:
    mean = float((embeddings * expected).sum(axis=1).mean())
    said = f"mean similarity {mean:.3f} in int8, at least {LEAST_SIMILARITY:g} is accepted"
    return said, mean >= LEAST_SIMILARITY
