"""Compute what the pipeline computes, in small, and print hashes: ``portable_results``.

Used by a test that runs it on several processors.
"""

import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from reid.common.processor import use_instructions

use_instructions("any")

from reid.inference.engine import EngineName, load_engine  # noqa: E402
from reid.inference.export import export_network  # noqa: E402
from reid.model.backend import make_deterministic  # noqa: E402
from reid.model.network import (  # noqa: E402
    build_network,
    embedder,
    for_computing,
    for_keeping,
    retrieval_network,
)
from reid.protocol.ranking import portable_dot_products  # noqa: E402
from reid.training.compiling import compiled, targets  # noqa: E402
from reid.training.objective import Objective  # noqa: E402
from reid.training.validation import validate, validate_retrieval  # noqa: E402
from tests.support.small_training import NETWORK, PEOPLE, fold, plan  # noqa: E402

PEOPLE_IN_SOFTMAX = 60
STEPS = 2
SIZE = 64
ENGINES: tuple[EngineName, ...] = ("keras", "openvino")


def digest(arrays: list[np.ndarray]) -> str:
    """Return the start of the hash of some arrays' bytes."""
    content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(content).hexdigest()[:12]


def results() -> dict[str, str]:
    """Train for some steps, validate, export, embed and compare; return a hash for each."""
    make_deterministic(seed=1, threads=2)
    how = NETWORK.model_copy(update={"alpha": 1.0, "last_stride": 1, "height": SIZE, "width": SIZE})
    network = for_computing(build_network(how, "none", PEOPLE_IN_SOFTMAX))
    found = {"random weights": digest(network.get_weights())}
    objective = Objective(label_smoothing=0.1, margin=0.3, triplet_weight=10.0)
    model = compiled(network, plan(STEPS, objective))
    images = fold(images=2, seed=1, size=SIZE)
    for _ in range(STEPS):
        model.train_on_batch(images.images, targets(model, images))
    found["weights"] = digest(network.get_weights())
    row = validate(model, embedder(network), images, batch_size=2 * PEOPLE)
    found["validation"] = json.dumps({name: float(value).hex() for name, value in row.items()})
    people = fold(images=4, seed=2, first_label=1, labelled=False, size=SIZE)
    row = validate_retrieval(embedder(network), people, batch_size=2 * PEOPLE)
    found["validation of retrieval"] = json.dumps(row)
    kept = retrieval_network(for_keeping(network), flip=True)
    for engine in ENGINES:
        with TemporaryDirectory() as folder:
            file = export_network(kept, engine, Path(folder))
            if engine == "openvino":
                found["file of openvino"] = digest(
                    [np.fromfile(path, np.uint8) for path in (file, file.with_suffix(".bin"))]
                )
            embeddings = load_engine(Path(folder)).embed([images.images])
        found[f"embeddings by {engine}"] = digest([embeddings])
    (similarities,) = portable_dot_products(embeddings, embeddings, len(embeddings))
    found["similarities"] = digest([similarities])
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(results()))
