"""What a sweep over seeds shows: the mean and the spread of each recipe, and their differences."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.table import Table
from rich.text import Text

from experiments.slim_table import slim_table
from experiments.sweep_run import MODEL, SweepRun, protocol_words
from reid.common.errors import UserError
from reid.data.paths import PARAMS, ranking_file
from reid.evaluation.figures import FIGURES, TESTED
from reid.evaluation.ranking_file import RankedQueries, read_ranking
from reid.evaluation.seeds import difference_of_recipes, spread
from runs.dvc_experiment import file_of_experiment

SEED = "seed"


def has_seeds(runs: Sequence[SweepRun]) -> bool:
    """Return whether some recipe of a sweep has results of several seeds."""
    return any(len(same) > 1 for same in recipes(runs).values())


def recipes(runs: Sequence[SweepRun]) -> dict[str, list[SweepRun]]:
    """Group the runs that have a result by all that they change but the seed."""
    groups: dict[str, list[SweepRun]] = {}
    for run in runs:
        if SEED in run.changes and run.metrics:
            others = [f"{name}={value}" for name, value in run.changes.items() if name != SEED]
            groups.setdefault("\n".join(others) or str(PARAMS), []).append(run)
    return groups


def seed_table(title: str, runs: Sequence[SweepRun]) -> Table:
    """Show mean, standard deviation and range of each recipe, and the others minus the first.

    Raises:
        UserError: the rankings of the runs are gone, or can't be compared.
    """
    several = [(name, same) for name, same in recipes(runs).items() if len(same) > 1]
    caption = (
        f"{MODEL} model, per cent{protocol_words(runs)}: mean ± standard deviation over the seeds, "
        "and below it the lowest to the highest"
    )
    table = slim_table("recipe", "seeds", title=Text(title))
    for figure in TESTED:
        table.add_column(FIGURES[figure], justify="right", no_wrap=True)
    for name, same in several:
        cells = [_spread([run.metrics[figure] for run in same]) for figure in TESTED]
        table.add_row(Text(name), str(len(same)), *cells)
    (_, first), *others = several
    if others:
        caption += (
            ". Differences in points, with their 95 % intervals over seeds and people: where the "
            "interval holds 0, the difference may be chance"
        )
        table.add_section()
        known = [_ranking(run) for run in first]
        for name, same in others:
            cells = _differences(known, [_ranking(run) for run in same])
            table.add_row(Text(f"{name}\nminus the first"), "", *cells)
    table.caption = Text(caption)
    return table


def _spread(values: Sequence[float]) -> str:
    found = spread([100 * value for value in values])
    return f"{found.mean:.1f} ± {found.deviation:.1f}\n{found.low:.1f}-{found.high:.1f}"


def _differences(first: Sequence[RankedQueries], second: Sequence[RankedQueries]) -> list[str]:
    if any(not np.array_equal(one.names, first[0].names) for one in (*first, *second)):
        raise UserError("the runs were not tested on the same queries")
    found = difference_of_recipes(
        [one.ranking for one in first], [one.ranking for one in second], first[0].pids
    )
    return [
        f"{100 * one.difference:+.1f}\n"
        f"{100 * one.interval.low:+.1f} to {100 * one.interval.high:+.1f}"
        for one in found
    ]


def _ranking(run: SweepRun) -> RankedQueries:
    """Read the ranking of a run's queries from DVC's cache."""
    content = file_of_experiment(run.name, ranking_file(MODEL))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "ranking.parquet"
        file.write_bytes(content)
        return read_ranking(file)
