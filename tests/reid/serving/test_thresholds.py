from pathlib import Path

from reid.serving.thresholds import read_thresholds, threshold_of, write_thresholds

METRICS = {
    **{"rank1": 0.9, "gallery": 1040, "queries": 200},
    **{"threshold_at_1pct": 0.83, "threshold_at_10pct": 0.71},
}


def test_thresholds_are_read_as_written(tmp_path: Path) -> None:
    write_thresholds(tmp_path / "t.json", METRICS)
    assert read_thresholds(tmp_path / "t.json") == {0.01: 0.83, 0.1: 0.71}


def test_threshold_that_could_not_be_set_is_left_out(tmp_path: Path) -> None:
    few = {key: value for key, value in METRICS.items() if key != "threshold_at_1pct"}
    write_thresholds(tmp_path / "t.json", few)
    assert read_thresholds(tmp_path / "t.json") == {0.1: 0.71}


def test_earlier_model_has_no_thresholds(tmp_path: Path) -> None:
    assert read_thresholds(tmp_path / "absent.json") == {}


def test_threshold_is_that_of_the_largest_share_that_is_small_enough() -> None:
    known = {0.01: 0.83, 0.1: 0.71}
    assert threshold_of(known, 0.1) == 0.71
    assert threshold_of(known, 0.05) == 0.83
    assert threshold_of(known, 0.001) is None
    assert threshold_of({}, 0.5) is None
