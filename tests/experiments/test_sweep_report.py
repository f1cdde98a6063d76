"""The report of a sweep: the table, the plot and the page."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from experiments.parallel_plot import parallel_coordinates
from experiments.sweep_page import sweep_page
from experiments.sweep_run import SweepRun, best_run, ranked
from experiments.sweep_table import sweep_table
from tests.support.places import ROOT


def finished(name: str, margin: str, rank1: float, mAP: float) -> SweepRun:
    ends = {f"{key}_{end}": 0.5 for key in ("rank1", "mAP") for end in ("low", "high")}
    return SweepRun(name, {"margin": margin}, {"rank1": rank1, "mAP": mAP} | ends, seconds=90)


RUNS = [
    finished("a", "0.3", 0.9, 0.6),
    SweepRun("b", {"margin": "soft"}, error="loss is nan </script> <b>"),
    finished("c", "0.05", 0.8, 0.7),
]
LONG_NAME = "sweep12-lr0.0123-weight_decay0.0005"


def shown(runs: list[SweepRun], width: int) -> str:
    file = StringIO()
    console = Console(width=width, file=file)
    console.print(sweep_table("All runs", runs, console))
    return file.getvalue()


def test_best_run_is_first_and_failed_ones_are_last() -> None:
    assert best_run(RUNS) is RUNS[2]
    assert [run.name for run in ranked(RUNS)] == ["c", "a", "b"]
    assert best_run(RUNS[1:2]) is None


@pytest.mark.parametrize("width", [60, 80, 120])
def test_table_shows_names_whole_at_any_width(width: int) -> None:
    changes = {"lr": "0.0123", "optimisation.weight_decay": "0.0005"}
    run = SweepRun(LONG_NAME, changes, RUNS[0].metrics, seconds=90)
    text = shown([run], width)
    (row,) = [line for line in text.splitlines() if run.name in line]
    assert ("90.0 50.0-50.0" in row) == (width >= 80)
    assert ("0.0005  " in row.replace(run.name, "")) == (width == 120)
    assert row.rstrip().endswith("01:30")
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_table_shows_ten_runs_and_how_many_more_there_are() -> None:
    runs = [finished(f"run-{i}", "0.3", 0.5, i / 100) for i in range(12)]
    text = shown(runs, 80)
    assert re.findall(r"^ run-(\d+)", text, re.M) == [str(i) for i in range(11, 1, -1)]
    assert "2 more runs are in the page" in " ".join(text.split())


def test_protocol_is_named_if_it_is_not_the_usual_one() -> None:
    run = replace(RUNS[0], metrics=RUNS[0].metrics | {"any_camera": 1})
    assert "any camera" in " ".join(shown([run], 100).split())
    assert "any camera" not in " ".join(shown([RUNS[0]], 100).split())


def test_values_are_shown_as_they_are() -> None:
    run = SweepRun("a", {"[red]x[/blue]": ":smile:"}, RUNS[0].metrics)
    text = shown([run], 120)
    assert "[red]x[/blue]" in text
    assert ":smile:" in text


def test_plot_leads_each_run_through_its_values() -> None:
    waiting = SweepRun("d", {"margin": "0.3"})
    layers = parallel_coordinates([*RUNS, waiting])["layer"]
    _, failed, others, *_, ticks = (layer["data"]["values"] for layer in layers)
    lines = failed + others
    places = {(point["run"], point["axis"]): point["place"] for point in lines}
    # Numbers in their order, then words; a failed run has no figures.
    assert places["c", "margin"] < places["a", "margin"] < places["b", "margin"]
    assert {axis for run, axis in places if run == "b"} == {"margin"}
    assert places["a", "rank-1"] == 1
    assert places["c", "rank-1"] == 0
    assert places["c", "mAP"] == 1
    assert {point["run"]: point["state"] for point in lines} == {
        "a": "run",
        "b": "failed",
        "c": "best",
    }
    labels = {tick["label"]: tick["place"] for tick in ticks if tick["axis"] == "mAP"}
    assert (labels["60"], labels["70"]) == (0, 1)


def test_page_needs_no_network_and_escapes_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = sweep_page("sweep1", RUNS)
    assert re.findall(r"(?:src|href)\s*=\s*[\"']https?:", page) == []
    assert "failed: loss is nan &lt;/script&gt; &lt;b&gt;" in page
    assert page.index('class="best"') < page.index("<td>c</td>") < page.index("<td>a</td>")
