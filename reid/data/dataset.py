"""Reading what ``ingest`` wrote."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from reid.common.errors import UserError
from reid.data import paths
from reid.data.market import SUBSETS

TRAIN, VALIDATION = "train", "validation"
"""The folds of the training subset."""
NO_LABEL = -1
"""The label of held-out people, whom no softmax knows."""


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} is not there. `dvc repro ingest` makes it from data/.")
    return path


def read_source(dataset: Path) -> dict[str, Any]:
    """The data set's name, gallery folder, images of each subset and strangers.

    Raises:
        UserError: the data set was not ingested.
    """
    return json.loads(_existing(paths.source_file(dataset)).read_text(encoding="utf-8"))


def read_subset(dataset: Path, subset: str, images: bool = False) -> pd.DataFrame:
    """The rows of a subset, integers nullable (Int32); the images' bytes only where asked for.

    Raises:
        UserError: the data set was not ingested.
    """
    path = _existing(paths.subset_file(dataset, subset))
    columns = [name for name in pq.read_schema(path).names if images or name != "image"]
    table = pq.read_table(path, columns=columns)
    return table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype()}.get)


def read_index(dataset: Path) -> pd.DataFrame:
    """The rows of all three subsets without pixels, with the column ``subset`` in front."""
    frames = [read_subset(dataset, subset) for subset in SUBSETS]
    index = pd.concat(frames, ignore_index=True)
    subsets = [s for s, f in zip(SUBSETS, frames, strict=True) for _ in range(len(f))]
    index.insert(0, "subset", subsets)
    return index
