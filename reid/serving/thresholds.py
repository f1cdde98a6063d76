"""The similarity thresholds that travel with a registered model, as a JSON file.

The file has, for each accepted share of strangers (FPIR), the similarity from which on an answer is
a match: ``{"similarity_for_fpir": {"0.01": 0.83, "0.1": 0.71}, "gallery": 900, "queries": 200}``.
They were set in a gallery of so many photos, with so many queries as strangers
(`reid.evaluation.open_set`).
"""

import json
from collections.abc import Mapping
from pathlib import Path

from reid.common.files import write_json
from reid.evaluation.figures import OPEN_SET_FPIR, at_fpir

THRESHOLDS = "thresholds.json"
"""The name of the file."""
SIMILARITIES = "similarity_for_fpir"


def write_thresholds(file: Path, metrics: Mapping[str, float]) -> None:
    """Write the file.

    Args:
        file: its path.
        metrics: the metrics of the model, as in ``metrics/<model>.json``. A threshold that they
            lack is left out.
    """
    thresholds = {
        str(fpir): metrics[at_fpir("threshold", fpir)]
        for fpir in OPEN_SET_FPIR
        if at_fpir("threshold", fpir) in metrics
    }
    counts = {key: metrics[key] for key in ("gallery", "queries") if key in metrics}
    write_json(file, {SIMILARITIES: thresholds, **counts})


def read_thresholds(file: Path) -> dict[float, float]:
    """Read the thresholds by FPIR; none if there is no file, as with an earlier model."""
    if not file.exists():
        return {}
    similarities = json.loads(file.read_text(encoding="utf-8"))[SIMILARITIES]
    return {float(fpir): float(similarity) for fpir, similarity in similarities.items()}


def threshold_of(thresholds: Mapping[float, float], fpir: float) -> float | None:
    """Return the threshold at which at most ``fpir`` of strangers find somebody.

    Of the known thresholds, it is the one with the largest FPIR up to ``fpir``. Return None if the
    FPIR of each is larger.
    """
    small_enough = [known for known in thresholds if known <= fpir]
    return thresholds[max(small_enough)] if small_enough else None
