"""How often the search tool's verdict is wrong: ``python -m benchmarks.search_answers``.

The index is the pipeline's gallery, and the data set's queries are searched for. A false alarm is a
query whose own person is left out of the answer, and that matches somebody else all the same. A
miss is a query whose person is in the gallery and is not the first match.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from reid.data import paths
from reid.data.dataset import read_columns
from reid.data.market import person_name
from search.enrolment import add_entries, gallery_entries
from search.false_alarms import measure_false_alarms
from search.index import open_index
from search.networks import Networks
from search.records import Hit

RATES = (0.005, 0.01, 0.05, 0.1)


def best(hits: list[Hit], person: str, is_own: bool, not_camera: int | None = None) -> float:
    """Return the highest similarity to photos of a person, or of all others; -1 for none."""
    return max(
        (
            hit.similarity
            for hit in hits
            if (hit.sighting.person == person) == is_own and hit.sighting.camera != not_camera
        ),
        default=-1.0,
    )


def main() -> None:
    """Print a table."""
    table = Table(title="The verdicts on the queries of the data set, in per cent")
    for column in ("false alarms stated", "measured", "missed", "missed, other cameras only"):
        table.add_column(column, justify="right")
    queries = read_columns(paths.DATASET, "query", ("pid", "camid", "image"))
    with TemporaryDirectory() as folder:
        index, networks = open_index("", Path(folder)), Networks(Path(folder) / "networks")
        network = networks.install(str(paths.exported_folder(paths.TRIPLET)))
        model = network.model.sha256
        index.begin_model(network.model)
        add_entries(index, networks, *gallery_entries(paths.DATASET))
        alarms = measure_false_alarms(index, model)
        found = index.search(network.embed(queries["image"]), model, index.size())
        index.close()
    asked = [
        (hits, person_name(pid), camera)
        for hits, pid, camera in zip(found, queries["pid"], queries["camid"], strict=True)
    ]
    others = np.array([best(hits, person, False) for hits, person, _ in asked])
    own = np.array([best(hits, person, True) for hits, person, _ in asked])
    elsewhere = np.array([best(hits, person, True, camera) for hits, person, camera in asked])
    for rate in RATES:
        threshold = alarms.threshold(rate)
        if threshold is not None:
            missed = [(s < threshold) | (s < others) for s in (own, elsewhere)]
            shares = (rate, (others >= threshold).mean(), *(m.mean() for m in missed))
            table.add_row(*(f"{100 * share:.1f}" for share in shares))
    Console().print(table)


if __name__ == "__main__":
    main()
