"""The model card says what is known, and says of the rest that it isn't."""

from dataclasses import replace
from typing import Any

import pytest

from runs.registry.model_card import MODEL_DESCRIPTION, CardFacts, model_card

MLFLOW_DESCRIPTION = 5000
"""Characters that MLflow's tables hold of a description."""

FIGURES = {
    "rank5": 0.9,
    "rank10": 0.95,
    "mINP": 0.3,
    "queries": 210,
    "queries_without_match": 10,
    "gallery": 1100,
    "junk": 60,
    "distractors": 200,
    "reranked": 0,
}
FACTS = CardFacts(
    data_name="station",
    data_md5="0123456789abcdef",
    is_market1501=False,
    images={"train": 600, "query": 210, "gallery": 1160},
    train_people=61,
    cameras=7,
    metrics={
        "triplet": FIGURES
        | {"rank1": 0.8304, "rank1_low": 0.7601, "rank1_high": 0.8899}
        | {"mAP": 0.734, "mAP_low": 0.671, "mAP_high": 0.793},
        "baseline": FIGURES | {"rank1": 0.6, "mAP": 0.5},
        "comparison": {"people": 82},
    },
    params={
        "lr": 0.01,
        "seed": 42,
        "ingest": {"gallery": "gt_bbox"},
        "model": {
            "backbone": "osnet",
            "alpha": 1.0,
            "weights": "none",
            "height": 256,
            "width": 128,
        },
    },
    fingerprint="f" * 64,
    commit="c" * 40,
    has_changes=False,
)


def card(**changes: Any) -> str:
    return model_card(replace(FACTS, **changes))


def with_weights(weights: str) -> str:
    return card(params={**FACTS.params, "model": {**FACTS.params["model"], "weights": weights}})


def row(text: str, figure: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {figure}&emsp;"))
    cells = line.strip("|").replace("&emsp;", "").split("|")
    return [cell.strip() for cell in cells][1:]


def test_figures_are_in_per_cent_with_intervals_next_to_the_baseline() -> None:
    assert row(card(), "rank-1") == ["83.0", "76.0-89.0", "60.0"]
    assert row(card(), "mAP") == ["73.4", "67.1-79.3", "50.0"]
    assert row(card(), "mINP") == ["30.0", "", "30.0"]


def test_says_what_it_was_measured_on() -> None:
    text = card()
    assert (
        "no re-ranking: 200 queries of 82 people (10 more have no right answer) against 1100 "
        "gallery images"
    ) in text
    for fact in ("`station`", "md5 `0123456789abcdef`", "600 training images of 61 people"):
        assert fact in text
    for fact in ("7 cameras", "`gt_bbox`", "256x128", "osnet", "`cccccccccc`", "`ffffffffff`"):
        assert fact in text


def test_says_that_figures_are_re_ranked() -> None:
    metrics = {**FACTS.metrics, "triplet": {**FACTS.metrics["triplet"], "reranked": 1}}
    text = card(metrics=metrics)
    assert "no re-ranking" not in text
    assert "re-ranked with the help of the other queries (the embeddings alone give other" in text


OPEN_SET = {
    **{"queries": 147, "threshold_at_10pct": 0.7123, "FPIR_at_10pct": 0.085},
    **{"FNIR_at_10pct": 0.415, "FNIR_at_10pct_low": 0.335, "FNIR_at_10pct_high": 0.498},
}


def test_says_how_well_a_threshold_tells_who_is_not_in_the_gallery() -> None:
    text = card(metrics={**FACTS.metrics, "triplet": {**FACTS.metrics["triplet"], **OPEN_SET}})
    assert row(text, "10 %") == ["0.712", "8.5 %", "41.5 %, 33.5-49.8"]
    assert "Set on the 147 queries" in text
    # So few strangers tell no smaller share.
    assert "| 1 %" not in text


def test_says_if_there_is_no_threshold() -> None:
    assert "No threshold is set" in card()


def test_names_what_it_must_not_be_used_for() -> None:
    for text in (card(), MODEL_DESCRIPTION):
        for word in ("Surveillance", "legal ground", "Identifying", "Decisions about people"):
            assert word in text


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"data_name": "station"}, "not known to the pipeline"),
        ({"data_name": "station", "is_market1501": True}, "Market-1501, for research"),
        ({"data_name": "synthetic-pedestrians"}, "no real person"),
    ],
)
def test_licence_of_the_data_is_stated_or_stated_as_unknown(
    facts: dict[str, Any], said: str
) -> None:
    assert said in card(**facts)


def test_says_that_answers_of_any_camera_count() -> None:
    assert "by the query's own camera are left out" in card()
    metrics = {**FACTS.metrics, "triplet": {**FACTS.metrics["triplet"], "any_camera": 1}}
    text = card(metrics=metrics)
    assert "any camera (easier than Market-1501's protocol), no re-ranking: 200 queries" in text
    assert "by the query's own camera count as right answers" in text
    assert "left out" not in text


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("none", "random"),
        ("imagenet", "Keras's ImageNet download"),
        ("mobilenet_v2_imagenet_notop.weights.h5", "BSD-3-Clause"),
        ("mine.weights.h5", "`mine.weights.h5`, whose terms the pipeline doesn't know"),
    ],
)
def test_licence_of_the_weights_is_stated_or_stated_as_unknown(weights: str, said: str) -> None:
    assert said in with_weights(weights)


def test_only_the_drawn_sample_is_called_drawn() -> None:
    assert "people are drawn" in card(data_name="synthetic-pedestrians")
    assert "people are drawn" not in card()


def test_a_model_of_no_commit_has_a_card_too() -> None:
    assert "commit" not in card(commit="")


def test_says_if_the_code_was_not_that_of_the_commit() -> None:
    assert "uncommitted" not in card()
    assert "commit `cccccccccc` with uncommitted changes" in card(has_changes=True)


def test_fits_where_mlflow_keeps_it_with_room_for_the_decision() -> None:
    both = OPEN_SET | {key.replace("10pct", "1pct"): x for key, x in OPEN_SET.items()}
    metrics = {**FACTS.metrics, "triplet": {**FACTS.metrics["triplet"], **both}}
    long_names = card(data_name="n" * 200, has_changes=True, metrics=metrics)
    assert len(long_names) < MLFLOW_DESCRIPTION - 1000
    assert len(MODEL_DESCRIPTION) < MLFLOW_DESCRIPTION
