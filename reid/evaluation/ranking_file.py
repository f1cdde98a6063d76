"""A model's ranking of the queries as a file, for a later comparison with another model.

The file is Parquet with one row per query, in the order of the query set: ``name``, ``pid``,
``camid`` and the fields of `reid.protocol.ranking.Ranking`, which are NaN if the query has no right
answer.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reid.common.arrays import IntArray
from reid.common.errors import UserError
from reid.common.files import replacing_file
from reid.protocol.ranking import Ranking

FIGURES = tuple(field.name for field in fields(Ranking))
SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("pid", pa.int64(), nullable=False),
        pa.field("camid", pa.int64(), nullable=False),
        *(pa.field(figure, pa.float64()) for figure in FIGURES),
    ]
)

REMEDY = "make it with reid.evaluation.ranking_file.write_ranking, as the stage `evaluate` does"


@dataclass(frozen=True, eq=False)
class RankedQueries:
    """A ranking of q queries, and the queries themselves.

    ``names``: str (q,), the file names of the photos; ``pids``, ``camids``: int64 (q,).
    """

    names: NDArray[np.object_]
    pids: IntArray
    camids: IntArray
    ranking: Ranking


def write_ranking(path: Path, queries: RankedQueries) -> None:
    """Write the file ``path``, whole or not at all."""
    columns = (queries.names, queries.pids, queries.camids)
    figures = (getattr(queries.ranking, figure) for figure in FIGURES)
    table = pa.table(dict(zip(SCHEMA.names, (*columns, *figures), strict=True)), schema=SCHEMA)
    with replacing_file(path) as part:
        pq.write_table(table, part)


def read_ranking(path: Path) -> RankedQueries:
    """Read a file that `write_ranking` wrote.

    Raises `UserError` if the file is absent or holds something else.
    """
    table = _read_table(path)
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise UserError(f"{path} has no column {', '.join(missing)}: {REMEDY}")
    try:
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, ValueError) as error:
        raise UserError(f"{path} holds no ranking ({error}): {REMEDY}") from None
    figures = {figure: table[figure].to_numpy() for figure in FIGURES}
    _require_whole_rows(figures, path)
    return RankedQueries(
        names=table["name"].to_numpy(),
        pids=table["pid"].to_numpy(),
        camids=table["camid"].to_numpy(),
        ranking=Ranking(**figures),
    )


def read_paired_rankings(first: Path, second: Path) -> tuple[RankedQueries, RankedQueries]:
    """Read two models' rankings of the same queries.

    Raises `UserError` if the files hold different queries or the same queries in another order, and
    as `read_ranking` does.
    """
    one, other = read_ranking(first), read_ranking(second)
    if len(one.names) != len(other.names):
        raise UserError(
            f"{first} holds {len(one.names)} queries and {second} {len(other.names)}: "
            "evaluate both models on the same data set"
        )
    differs = (one.names != other.names) | (one.pids != other.pids) | (one.camids != other.camids)
    if differs.any():
        row = int(differs.argmax())
        raise UserError(
            f"row {row} is {_query_name(one, row)} in {first} "
            f"and {_query_name(other, row)} in {second} "
            f"({np.count_nonzero(differs)} such rows of {len(differs)}): evaluate both models on "
            "the same data set, with its queries in the same order"
        )
    return one, other


def _read_table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: evaluate the model first") from None
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} can't be read as a parquet file: {error}") from None


def _require_whole_rows(figures: dict[str, NDArray[np.float64]], path: Path) -> None:
    """Raise `UserError` if a row has some of the figures, but not all."""
    absent = np.count_nonzero(np.isnan(list(figures.values())), axis=0)
    is_torn = (absent > 0) & (absent < len(figures))
    if is_torn.any():
        raise UserError(
            f"{path}: row {int(is_torn.argmax())} lacks some of its figures "
            f"({np.count_nonzero(is_torn)} such rows of {len(is_torn)}): {REMEDY}"
        )


def _query_name(queries: RankedQueries, row: int) -> str:
    return f"{queries.names[row]} (person {queries.pids[row]}, camera {queries.camids[row]})"
