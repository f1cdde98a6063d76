"""A sweep as its users run it, through DVC's real queue, and its report.

The tests with a project share one and build upon each other, in the order of the file.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pandas as pd
import psutil
import pytest
from rich.console import Console

from experiments.sweep import combinations, failure, next_sweep, parse_grid, run_name
from experiments.sweep_report import (
    Run,
    best_run,
    parallel_coordinates,
    ranked,
    sweep_page,
    sweep_table,
)
from reid.common.errors import UserError
from tests.support.places import ROOT
from tests.support.project import Project, assert_one_clear_message, make_project


def finished(name: str, margin: str, rank1: float, mAP: float) -> Run:
    ends = {f"{key}_{end}": 0.5 for key in ("rank1", "mAP") for end in ("low", "high")}
    return Run(name, {"margin": margin}, {"rank1": rank1, "mAP": mAP} | ends, seconds=90)


RUNS = [
    finished("a", "0.3", 0.9, 0.6),
    Run("b", {"margin": "soft"}, error="loss is nan </script> <b>"),
    finished("c", "0.05", 0.8, 0.7),
]


def test_grid_is_every_value_with_every_other() -> None:
    grid = parse_grid(["lr=0.01, 0.02", "triplet.margin=0.3,soft"])
    assert combinations(grid) == [
        {"lr": "0.01", "triplet.margin": "0.3"},
        {"lr": "0.01", "triplet.margin": "soft"},
        {"lr": "0.02", "triplet.margin": "0.3"},
        {"lr": "0.02", "triplet.margin": "soft"},
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "no parameter"),
        (["lr"], "as in lr=0.01,0.02"),
        (["=1"], "as in lr=0.01,0.02"),
        (["lr=0.01,"], "as in lr=0.01,0.02"),
        (["lr=1,1"], "twice"),
        (["lr=1", "lr=2"], "given twice"),
    ],
)
def test_grid_that_makes_no_sense_is_refused(settings: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_grid(settings)


def test_names_say_what_was_changed_and_are_new() -> None:
    sweep = next_sweep({"sweep1-lr0.1", "sweep9", "sweeper-3", "seed1"})
    assert sweep == "sweep10"
    changes = {"lr": "1e-3", "model.weights": "a b/c"}
    assert run_name(sweep, changes) == "sweep10-lr1e-3-weightsa_b_c"


def test_reason_of_a_failure_is_what_the_stage_said_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Running\nerror: loss is nan\nERROR: failed to reproduce 'train'\n")
    assert failure(log) == "loss is nan"
    log.write_text("Running\nKilled\n")
    assert failure(log) == "Killed"
    assert "before its first stage" in failure(None)


def test_best_run_is_first_and_failed_ones_are_last() -> None:
    assert best_run(RUNS) is RUNS[2]
    assert [run.name for run in ranked(RUNS)] == ["c", "a", "b"]
    assert best_run(RUNS[1:2]) is None


def shown(run: Run, width: int) -> str:
    console = Console(width=width, file=StringIO(), record=True)
    console.print(sweep_table("All runs", [run]))
    return console.export_text()


def test_table_says_whole_names() -> None:
    run = finished("sweep12-lr0.0123-margin0.25", "0.25", 0.9, 0.6)
    (row,) = [line for line in shown(run, 80).splitlines() if run.name in line]
    assert "90.0 50.0-50.0" in row
    assert "…" not in shown(run, 80)
    # A narrow terminal breaks them.
    rows = [line.split() for line in shown(run, 50).splitlines()]
    assert "".join(row[0] for row in rows if row and row[0] in run.name) == run.name


def test_plot_leads_each_run_through_its_values() -> None:
    waiting = Run("d", {"margin": "0.3"})
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
    shown = {tick["label"]: tick["place"] for tick in ticks if tick["axis"] == "mAP"}
    assert (shown["60"], shown["70"]) == (0, 1)


def test_page_needs_no_network_and_escapes_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = sweep_page("sweep1", RUNS)
    assert re.findall(r"(?:src|href)\s*=\s*[\"']https?:", page) == []
    assert "failed: loss is nan &lt;/script&gt; &lt;b&gt;" in page
    assert page.index('class="best"') < page.index("<td>c</td>") < page.index("<td>a</td>")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("sweep") / "project")
    made.set_params({"baseline": {"epochs": 1}})
    made.commit()
    return made


def sweep(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "experiments.sweep", *arguments)


def processes_of(project: Project) -> list[str]:
    """Commands of all processes that work in the project or below."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        cwd = process.info["cwd"]
        if cwd and Path(cwd).is_relative_to(project.root):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def assert_nothing_goes_on(project: Project) -> None:
    status = project.must("dvc", "queue", "status")
    assert "Queued" not in status
    assert "Running" not in status
    # The parent of a worker ends a moment after it.
    for _ in range(600):
        if not processes_of(project):
            break
        time.sleep(0.1)
    assert processes_of(project) == []


def test_sweep_runs_all_combinations_and_names_those_that_failed(project: Project) -> None:
    done = project.run(*sweep("-S", "lr=0.01,1e30", "-S", "triplet.margin=0.2,0.5"))
    assert_one_clear_message(
        done, r"2 of 4 runs failed: sweep1-lr1e30-margin0\.2, sweep1-lr1e30-margin0\.5"
    )
    assert done.returncode == 1
    assert done.stdout.count("failed: Training diverged in epoch 1") == 2
    assert re.search(r"^4/4 ", done.stdout, re.MULTILINE)
    assert_nothing_goes_on(project)
    table = pd.read_csv(project.root / "sweeps" / "sweep1.csv").set_index("name")
    assert table["error"].notna().tolist() == [False, False, True, True]
    for name, row in table[table["error"].isna()].iterrows():
        found = project.must("git", "show", f"{experiment(project, name)}:metrics/triplet.json")
        metrics = json.loads(found)
        assert row["rank1"] == pytest.approx(metrics["rank1"])
        assert row["mAP"] == pytest.approx(metrics["mAP"])
    ended = {run.info.run_name: run.info.status for run in project.mlflow_runs()}
    assert ended["sweep1-lr0.01-margin0.5"] == "FINISHED"
    assert ended["sweep1-lr1e30-margin0.2"] == "FAILED"
    page = (project.root / "sweeps" / "sweep1.html").read_text("utf-8")
    assert page.count("failed: Training diverged") == 2


def experiment(project: Project, name: object) -> str:
    """The reference of an experiment."""
    refs = project.must("git", "for-each-ref", "--format=%(refname)", "refs/exps")
    (found,) = [ref for ref in refs.split() if ref.endswith(f"/{name}")]
    return found


def started_sweep(project: Project, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        sweep(*arguments),
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_sweep_that_is_stopped_leaves_nothing_behind(project: Project) -> None:
    process = started_sweep(project, "-S", "lr=0.01", "-S", "baseline.epochs=200,300")
    try:
        while not project.checkpoints(2):
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert "Stopped: 0 of 2 runs have ended and are kept. Nothing is left" in output
    assert "Traceback" not in output
    assert process.returncode == 130
    assert_nothing_goes_on(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_sweep_that_is_stopped_while_it_fills_the_queue_leaves_git_as_it_was(
    project: Project, number: signal.Signals
) -> None:
    def tree() -> list[str]:
        asked = (("symbolic-ref", "HEAD"), ("stash", "list"), ("status", "--short"), ("diff",))
        return [project.must("git", *command) for command in asked]

    edited = project.root / ".dvcignore"
    edited.write_text(f"{edited.read_text()}# edited\n")
    before = tree()
    process = started_sweep(project, "-S", "lr=0.01,0.02,0.03,0.04")
    try:
        # To queue an experiment, DVC puts git on another commit.
        while (project.root / ".git" / "HEAD").read_text().startswith("ref:"):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        for _ in range(3):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            time.sleep(0.7)
        output, _ = process.communicate()
    assert "Stopped: 0 of 4 runs have ended and are kept. Nothing is left" in output
    assert "Traceback" not in output
    assert process.returncode == 130
    assert_nothing_goes_on(project)
    assert tree() == before
    project.must("git", "checkout", "--", ".dvcignore")


def test_queue_that_holds_something_else_is_left_alone(project: Project) -> None:
    project.must("dvc", "exp", "run", "--queue", "--name", "mine", "-S", "lr=0.5")
    assert_one_clear_message(project.run(*sweep("-S", "lr=0.01")), "already holds mine")
    assert "mine" in project.must("dvc", "queue", "status")


def test_unknown_parameter_is_named_and_nothing_stays_queued(project: Project) -> None:
    project.must("dvc", "queue", "remove", "--queued")
    assert_one_clear_message(project.run(*sweep("-S", "lrr=0.01")), "Could not override 'lrr'")
    assert_nothing_goes_on(project)
