"""The folds of the training subset in memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid.data.dataset import NO_LABEL, TRAIN, VALIDATION, read_subset
from reid.data.images import decode
from reid.preparation.ingest import ingest
from reid.sources.source import open_source
from reid.training import folds
from tests.support.photos import layout, write_folder


def test_rows_of_both_folds_have_their_own_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = layout(train_people=5)
    with open_source(write_folder(files, tmp_path / "data")) as source:
        ingest(source, tmp_path / "dataset", "bounding_box_test")
    rows = read_subset(tmp_path / "dataset", "train")
    rows["fold"] = np.where(rows["camid"] == 1, TRAIN, VALIDATION)
    rows["label"] = [NO_LABEL if fold == VALIDATION else 7 for fold in rows["fold"]]
    shuffled: pd.DataFrame = rows.sample(frac=1, random_state=0)
    shuffled[["name", "label", "fold"]].to_parquet(tmp_path / "split.parquet")
    monkeypatch.setattr(folds, "FILES_AT_ONCE", 3)
    numbers = np.arange(len(rows), dtype=np.float32)[:, None]
    read = folds.read_folds(tmp_path / "dataset", tmp_path / "split.parquet", 32, 16, numbers)
    np.testing.assert_array_equal(read.all.images, np.concatenate([f.images for f in read[:2]]))
    assert read.all.pids.tolist() == [*read.training.pids, *read.validation.pids]
    for fold, kind, label in zip(read[:2], (TRAIN, VALIDATION), (7, NO_LABEL), strict=True):
        own = rows[rows["fold"] == kind].sort_values(["pid", "name"])
        assert (fold.pids == own["pid"].to_numpy()).all()
        assert (fold.labels == label).all()
        assert fold.teacher is not None
        assert fold.teacher[:, 0].tolist() == own.index.tolist()
        expected = [decode(files[f"bounding_box_train/{name}"], 32, 16) for name in own["name"]]
        np.testing.assert_array_equal(fold.images, expected)
