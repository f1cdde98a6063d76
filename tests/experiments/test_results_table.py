"""Results of DVC and MLflow joined, and their table."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag
from rich.console import Console

from experiments.joining import JoinedResult, joined, meant
from experiments.results_table import differing_params, results_table, sorted_by
from reid.common.errors import UserError
from runs.known_results import Known

RANK1 = "triplet/rank1"
CAN_NOT_BE_COMPARED = (
    "figures on other data or galleries, by another protocol, or re-ranked differently, "
    "can't be compared"
)


def run(run_id: str, status: str, tags: dict[str, str], rank1: float | None = None) -> Run:
    info = RunInfo(run_id, "1", "user", status, 0, None, "active", run_name=f"run-{run_id}")
    metrics = [] if rank1 is None else [Metric(RANK1, rank1, 0, 0)]
    params = [Param("lr", "0.01"), Param("test_set.queries", "200")]
    return Run(info, RunData(metrics, params, [RunTag(k, v) for k, v in tags.items()]))


def result(name: str, params: dict[str, str], rank1: float = 0.5) -> JoinedResult:
    return JoinedResult(
        (name,), "both", "0123456789abcdef", "run", "finished", "f", params, {RANK1: rank1}
    )


def shown(results: list[JoinedResult], width: int = 100, top: int = 10) -> str:
    file = StringIO()
    console = Console(width=width, file=file)
    console.print(results_table(sorted_by(results, RANK1), RANK1, console, top))
    return file.getvalue()


def bold(results: list[JoinedResult], top: int) -> list[str]:
    file = StringIO()
    console = Console(width=100, file=file, force_terminal=True, color_system="standard")
    console.print(results_table(sorted_by(results, RANK1), RANK1, console, top))
    return re.findall(r"\x1b\[1m *([\d.]+)\x1b", file.getvalue())


def test_results_are_joined_by_fingerprint() -> None:
    known = [
        Known("workspace", "finished", "F1"),
        Known("main", "finished", "F0", {"lr": "0.01"}, {RANK1: 0.5}),
        Known("faster", "finished", "F1", {}, {RANK1: 0.7500000000000001}),
        Known("again", "finished", "F1"),
        Known("alone", "finished", "F2", {"lr": "0.02"}, {RANK1: 0.25}),
        Known("waits", "queued"),
        Known("runs", "running"),
    ]
    runs = [
        run("a", "FINISHED", {"fingerprint": "F1", "dvc_exp": "faster"}, 0.75),
        run("b", "FINISHED", {"fingerprint": "F9", "dvc_exp": "main"}, 0.125),
        run("c", "RUNNING", {"fingerprint": "F5", "dvc_exp": "runs"}),
        # A name that was used before: that result is another one.
        run("d", "FINISHED", {"fingerprint": "F4", "dvc_exp": "waits"}, 0.375),
    ]
    assert {str(r.params) for r in joined([], runs)} == {"{'lr': '0.01'}"}
    assert [(r.names, r.place, r.run_id, r.status) for r in joined(known, runs)] == [
        (("faster", "again"), "both", "a", "finished"),
        (("main",), "DVC", "", "finished"),
        (("alone",), "DVC", "", "finished"),
        (("waits",), "DVC", "", "queued"),
        (("runs",), "both", "c", "running"),
        (("run-b",), "MLflow", "b", "finished"),
        (("run-d",), "MLflow", "d", "finished"),
    ]


def test_figures_that_contradict_each_other_are_pointed_out() -> None:
    known = [
        Known("moved", "finished", "F1", {}, {RANK1: 0.5}),
        Known("other", "finished", "F1", {}, {RANK1: 0.75}),
    ]
    tags = {"fingerprint": "F1"}
    (one,) = joined(known[:1], [run("a", "FINISHED", tags, 0.75)])
    assert (one.place, one.metrics, one.run_metrics) == (
        *("both, differ", {RANK1: 0.5}, {RANK1: 0.75}),
    )
    # Each of two results that share a fingerprint is shown.
    assert [
        (r.names, r.place, r.metrics[RANK1])
        for r in joined(known, [run("a", "FINISHED", tags, 0.75)])
    ] == [(("moved",), "both, differ", 0.5), (("other",), "both", 0.75)]
    # A run that is going on has no figures yet.
    (going,) = joined(known[:1], [run("a", "RUNNING", tags)])
    assert (going.place, going.metrics, going.run_metrics) == ("both", {RANK1: 0.5}, {})
    text = shown([one, result("same", {}, 0.25)])
    assert "both, differ: DVC's figures are shown" in text
    assert "differ" not in shown([going])


def test_result_without_a_run_says_how_to_get_one() -> None:
    waits = JoinedResult(("waits",), "DVC", "", "", "queued", "", {}, {})
    untold = JoinedResult(("untold",), "DVC", "", "", "finished", "F1", {}, {RANK1: 0.5})
    assert "`dvc exp apply` it" in shown([waits, untold])
    assert "dvc exp apply" not in shown([waits, result("told", {})])


@pytest.mark.parametrize("status", ["killed", "failed"])
def test_run_that_broke_off_says_how_it_is_completed(status: str) -> None:
    known = Known("slow", "finished", "F1", {}, {RANK1: 0.5})
    broken_off = run("a", status.upper(), {"fingerprint": "F1"})
    assert "`dvc exp apply` it" in shown(joined([known], [broken_off]))
    # DVC has nothing to apply.
    assert "dvc exp apply" not in shown(joined([], [broken_off]))


def test_result_is_known_by_its_names_and_the_beginning_of_its_run() -> None:
    one = replace(result("main", {}), experiment="repeated")
    for word in ("main", "run", "repeated", "01", "0123456789abcdef"):
        assert meant([one], word) == [one]
    for word in ("", "mai", "123"):
        assert meant([one], word) == []
    # A name may look like the beginning of an id.
    named = replace(result("01", {}), run_id="fedcba")
    assert meant([one, named], "01") == [named]


def test_only_parameters_that_differ_are_shown() -> None:
    results = [
        result("a", {"lr": "0.01", "seed": "1", "triplet.margin": "0.3"}),
        result("b", {"lr": "0.02", "seed": "1", "triplet.margin": "0.3"}),
        result("older", {"lr": "0.01", "seed": "1"}),
        JoinedResult(("queued",), "DVC", "", "", "queued", "", {}, {}),
    ]
    assert differing_params(results) == ["lr"]
    text = shown(results)
    assert "0.02" in text
    assert "seed" not in text


def test_best_comes_first_and_is_marked() -> None:
    results = [result("worse", {}, 0.25), result("best", {}, 0.75), result("middle", {}, 0.5)]
    results.append(JoinedResult(("queued",), "DVC", "", "", "queued", "", {}, {}))
    lines = shown(results).splitlines()
    found = [line.split() for line in lines if " both " in line or " DVC " in line]
    assert [words[0] for words in found] == ["*", "middle", "worse", "queued"]
    assert found[0][1] == "best"
    with pytest.raises(UserError, match=r"no metric rank1\. Choose one of baseline/rank1"):
        sorted_by(results, "rank1")


def test_best_is_that_of_all_whatever_is_shown() -> None:
    low = replace(result("first", {}, 0.75), metrics={RANK1: 0.75, "triplet/mAP": 0.25})
    high = replace(result("second", {}, 0.5), metrics={RANK1: 0.5, "triplet/mAP": 0.375})
    assert bold([low, high], top=1) == ["75.0"]
    assert bold([low, high], top=2) == ["75.0", "37.5"]
    elsewhere = result("elsewhere", {"data": "aaaaaaa"}, 0.875)
    assert "other data" not in shown([low, elsewhere], top=1)


def test_figures_on_other_data_are_not_compared() -> None:
    results = [
        result("easy", {"data": "aaaaaaa"}, 0.9),
        result("hard", {"data": "bbbbbbb"}, 0.5),
        result("harder", {"data": "bbbbbbb"}, 0.4),
        JoinedResult(("queued",), "DVC", "", "", "queued", "", {}, {}),
    ]
    text = shown(results)
    assert "aaaaaaa" in text
    starred = [line.split()[1] for line in text.splitlines() if line.startswith(" *")]
    assert starred == ["easy", "hard"]
    assert CAN_NOT_BE_COMPARED in " ".join(text.split())
    assert "other data" not in shown(results[1:])


def test_figures_by_another_protocol_are_not_compared() -> None:
    plain = {"data": "a", "ingest.gallery": "bounding_box_test", "evaluate.reranking.use": "False"}
    reranked = plain | {"evaluate.reranking.use": "True", "evaluate.reranking.k1": "20"}
    results = [
        result("reranked", reranked, 0.9),
        result("wider", reranked | {"evaluate.reranking.k1": "30"}, 0.8),
        result("drawn", plain | {"ingest.gallery": "gt_bbox"}, 0.7),
        result("plain", plain, 0.6),
        # Without re-ranking, its parameters do not matter.
        result("likewise", plain | {"evaluate.reranking.k1": "30"}, 0.5),
    ]
    text = shown(results)
    starred = [line.split()[1] for line in text.splitlines() if line.startswith(" *")]
    assert starred == ["reranked", "wider", "drawn", "plain"]
    assert CAN_NOT_BE_COMPARED in " ".join(text.split())


def test_figures_by_any_camera_are_named_and_not_the_best_of_others() -> None:
    # The first result is from before there was a choice.
    results = [result("old", {}, 0.5), result("easier", {"evaluate.protocol": "any_camera"}, 0.9)]
    text = shown(results, width=160)
    assert [line.split()[1] for line in text.splitlines() if line.startswith(" *")] == [
        *("easier", "old")
    ]
    assert re.search(r"old .*cross_camera", text)
    assert re.search(r"easier .*any_camera", text)
    assert CAN_NOT_BE_COMPARED in " ".join(text.split())
    assert "all by the protocol any_camera" in shown(results[1:])
    today = {"evaluate.protocol": "cross_camera", "ingest.names": "market1501"}
    assert CAN_NOT_BE_COMPARED not in shown([results[0], result("new", today, 0.6)])


def test_data_is_known_from_dvc_and_from_mlflow() -> None:
    tags = {"fingerprint": "F", "data_md5": "0123456789.dir"}
    (alone,) = joined([], [run("a", "FINISHED", tags, 0.5)])
    assert alone.params == {"data": "0123456", "lr": "0.01"}


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("many", [0, 1, 3, 12])
def test_no_word_is_broken_at_any_width(many: int, width: int) -> None:
    names = [f"optimisation.parameter_{i}" for i in range(many)]
    results = [
        result(name, dict.fromkeys(names, value), 0.5)
        for name, value in (("sweep12-lr0.0123-weight_decay0.0005", "0.0125"), ("b", "0.5"))
    ]
    results[0] = replace(results[0], place="both, differ", run_metrics={RANK1: 0.25})
    text = shown(results, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert text.count("0.0125") == many
    words = ("result", "both, differ", "01234567", "finished", "triplet", "rank-1")
    for word in (*words, *(f"parameter_{i}" for i in range(many))):
        assert re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text), word
    if many < 12:
        assert results[0].names[0] in text


def test_workspace_is_a_row_next_to_a_commit_with_other_figures() -> None:
    # The commit was made on another kind of processor; the workspace made the run.
    known = [
        Known("workspace", "finished", "F1", {}, {RANK1: 0.75}),
        Known("main", "finished", "F1", {}, {RANK1: 0.5}),
        Known("experiment", "finished", "F1", {}, {RANK1: 0.5}),
    ]
    runs = [run("a", "FINISHED", {"fingerprint": "F1"}, 0.75)]
    assert [(r.names, r.place, r.metrics, r.run_id) for r in joined(known, runs)] == [
        (("workspace",), "both", {RANK1: 0.75}, "a"),
        (("main", "experiment"), "both, differ", {RANK1: 0.5}, "a"),
    ]
    # A workspace with the figures of the commit has no row of its own.
    (same,) = joined([replace(known[0], metrics={RANK1: 0.5}), known[1]], [])
    assert same.names == ("main",)


def test_names_and_values_are_shown_as_they_are() -> None:
    results = [
        result("[red]a[/blue]", {"[b]": ":smile:"}),
        result("[/]", {"[b]": "[x]"}),
    ]
    for width in (80, 160):
        text = shown(results, width)
        for word in ("[red]a[/blue]", "[/]", "[b]", ":smile:", "[x]"):
            assert word in text


def test_only_the_first_result_shows_all_of_many_parameters() -> None:
    names = [f"optimisation.parameter_{i}" for i in range(12)]
    best = result("best", dict.fromkeys(names, "0.5"), 0.75)
    others = [
        result(f"other-{i}", {**best.params, name: "0.0125"}, 0.25) for i, name in enumerate(names)
    ]
    text = shown([best, *others], top=13)
    assert text.count("=0.5") == len(names)
    for i, name in enumerate(names):
        assert f"other-{i:<3} {name}=0.0125" in text
