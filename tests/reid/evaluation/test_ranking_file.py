"""The file of a ranking: reading it back, and messages about files that can't be compared."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from reid.common.errors import UserError
from reid.evaluation.confidence import compare
from reid.evaluation.feature_file import read_feature_file
from reid.evaluation.ranking_file import (
    RankedQueries,
    read_paired_rankings,
    read_ranking,
    write_ranking,
)
from reid.protocol.ranking import Ranking, rank_queries
from tests.support.feature_sets import OWN_FIXTURE


def ranked() -> RankedQueries:
    """Rank the fixture's queries, some of which have no right answer."""
    query, gallery = read_feature_file(OWN_FIXTURE)
    names = np.array([f"{pid:04}_{row}.jpg" for row, pid in enumerate(query.pids)], dtype=object)
    return RankedQueries(names, query.pids, query.camids, rank_queries(query, gallery))


def assert_same(one: RankedQueries, other: RankedQueries) -> None:
    for name in ("names", "pids", "camids"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for field in fields(Ranking):
        np.testing.assert_array_equal(
            getattr(one.ranking, field.name), getattr(other.ranking, field.name)
        )


def written(path: Path, queries: RankedQueries) -> Path:
    write_ranking(path, queries)
    return path


def changed(path: Path, **columns: Any) -> Path:
    """Write a file in which some columns are replaced."""
    pd.read_parquet(written(path, ranked())).assign(**columns).to_parquet(path)
    return path


class TestOneFile:
    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        queries = ranked()
        assert not queries.ranking.has_match.all()
        back = read_ranking(written(tmp_path / "new" / "ranking.parquet", queries))
        assert_same(back, queries)
        assert (back.pids.dtype, back.camids.dtype) == (np.int64, np.int64)

    def test_is_a_plain_table(self, tmp_path: Path) -> None:
        queries = ranked()
        table = pd.read_parquet(written(tmp_path / "ranking.parquet", queries))
        assert table.columns.tolist() == [
            "name",
            "pid",
            "camid",
            "first_rank",
            "average_precision",
            "average_precision_official",
            "inverse_negative_penalty",
        ]
        # Another program may add columns, shorten integers and write NaN as null.
        other = tmp_path / "other.parquet"
        table.astype({"pid": "int32", "camid": "int16"}).assign(note="x").to_parquet(other)
        assert_same(read_ranking(other), queries)

    def test_has_the_same_bytes_each_time(self, tmp_path: Path) -> None:
        first, second = (written(tmp_path / name, ranked()) for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        path = written(tmp_path / "ranking.parquet", ranked())
        with pytest.raises(pa.ArrowInvalid):
            write_ranking(path, replace(ranked(), names=ranked().names[1:]))
        assert_same(read_ranking(path), ranked())
        assert list(tmp_path.iterdir()) == [path]

    def test_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"nowhere\.parquet does not exist"):
            read_ranking(tmp_path / "nowhere.parquet")

    @pytest.mark.parametrize("content", [b"", b"name,pid\n", b"PAR1 torn PAR1"])
    def test_file_of_another_kind_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "ranking.parquet").write_bytes(content)
        with pytest.raises(UserError, match=r"ranking\.parquet can't be read as a parquet file"):
            read_ranking(tmp_path / "ranking.parquet")

    def test_missing_columns_are_named(self, tmp_path: Path) -> None:
        path = written(tmp_path / "ranking.parquet", ranked())
        pd.read_parquet(path).drop(columns=["camid", "first_rank"]).to_parquet(path)
        with pytest.raises(UserError, match=r"ranking\.parquet has no column camid, first_rank"):
            read_ranking(path)

    @pytest.mark.parametrize(
        ("column", "values"),
        [
            ("pid", [None] + [1] * 39),
            ("pid", [1.5] * 40),
            ("camid", ["one"] * 40),
            ("name", [None] * 40),
            ("first_rank", ["first"] * 40),
        ],
    )
    def test_columns_of_another_kind_are_refused(
        self, tmp_path: Path, column: str, values: list[Any]
    ) -> None:
        path = changed(tmp_path / "ranking.parquet", **{column: values})
        with pytest.raises(UserError, match=r"ranking\.parquet holds no ranking"):
            read_ranking(path)

    def test_rows_that_lack_some_figures_are_counted(self, tmp_path: Path) -> None:
        has_match = ranked().ranking.has_match
        torn = np.flatnonzero(has_match)[[2, 5]]
        values = ranked().ranking.average_precision.copy()
        values[torn] = np.nan
        path = changed(tmp_path / "ranking.parquet", average_precision=values)
        message = rf"ranking\.parquet: row {torn[0]} lacks some .* \(2 such rows of 40\)"
        with pytest.raises(UserError, match=message):
            read_ranking(path)


class TestTwoFiles:
    def test_files_of_the_same_queries_are_read(self, tmp_path: Path) -> None:
        first, second = (written(tmp_path / name, ranked()) for name in ("a", "b"))
        one, other = read_paired_rankings(first, second)
        assert_same(one, other)
        assert compare(one.ranking, other.ranking, one.pids).mAP.difference == 0

    def test_files_of_different_lengths_are_refused(self, tmp_path: Path) -> None:
        queries = ranked()
        fewer = RankedQueries(
            queries.names[1:],
            queries.pids[1:],
            queries.camids[1:],
            Ranking(*(getattr(queries.ranking, f.name)[1:] for f in fields(Ranking))),
        )
        first, second = written(tmp_path / "a", queries), written(tmp_path / "b", fewer)
        with pytest.raises(UserError, match=r"a holds 40 queries and .*b 39: evaluate both"):
            read_paired_rankings(first, second)

    @pytest.mark.parametrize("column", ["names", "pids", "camids"])
    def test_other_queries_or_another_order_are_refused(self, tmp_path: Path, column: str) -> None:
        queries = ranked()
        values = getattr(queries, column).copy()
        values[[3, 7]] = ("x.jpg", "y.jpg") if column == "names" else (888, 999)
        first = written(tmp_path / "a", queries)
        second = written(tmp_path / "b", replace(queries, **{column: values}))
        message = r"row 3 is \S+ \(person \d+, camera \d+\) in \S+a and .* \(2 such rows of 40\)"
        with pytest.raises(UserError, match=message):
            read_paired_rankings(first, second)
