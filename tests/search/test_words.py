import pytest

from search.people import Answer, Found
from search.records import Sighting
from search.service import words

SIGHTING = Sighting(1, "Anna", 3, None, 2, 41, "a.jpg", 0.0)


def found(person: str | None, false_alarms: float | None, is_match: bool | None) -> Found:
    return Found(person, SIGHTING, 0.9, false_alarms, is_match, [SIGHTING])


@pytest.mark.parametrize(
    ("share", "words_of_share"),
    [
        (1 / 901, "1 in 900 strangers looks this similar"),
        (1 / 112.6, "1 in 110 strangers looks this similar"),
        (1 / 12_345, "1 in 12,000 strangers looks this similar"),
        (0.0532, "1 in 19 strangers looks this similar"),
        (0.204, "20 in 100 strangers look this similar"),
        (1.0, "100 in 100 strangers look this similar"),
        (None, "Too few people to say how rare this similarity is"),
    ],
)
def test_similarity_is_said_as_the_share_of_strangers(
    share: float | None, words_of_share: str
) -> None:
    assert words.strangers(share) == words_of_share


@pytest.mark.parametrize(
    ("answer", "side", "headline"),
    [
        (Answer([found("Anna", 0.001, True)], 0.8, 0.01), "match", "Probably Anna"),
        (
            Answer([found(None, 0.001, True)], 0.8, 0.01),
            "match",
            "Probably somebody whom nobody named",
        ),
        (Answer([found("Anna", 0.4, False)], 0.8, 0.01), "nobody", "Nobody in the gallery"),
        (Answer([found("Anna", None, None)], None, 0.01), "unknown", "Too few people to say"),
        (Answer([found("Anna", 0.01, None)], None, 0.001), "unknown", "Too few photos to say"),
        (Answer([], 0.8, 0.01), "unknown", "No photo to compare with"),
    ],
)
def test_verdict_says_whether_it_is_somebody(answer: Answer, side: str, headline: str) -> None:
    verdict = words.verdict(answer, is_filtered=False)
    assert (verdict.side, verdict.headline) == (side, headline)


def test_verdict_names_the_accepted_false_alarms() -> None:
    answer = Answer([found("Anna", 0.4, False)], 0.8, 0.01)
    assert "1 false alarm in 100" in words.verdict(answer, is_filtered=False).explanation


@pytest.mark.parametrize("is_match", [True, False])
def test_verdict_by_the_threshold_of_the_model_says_so(is_match: bool) -> None:
    measured = Answer([found("Anna", 0.004, is_match)], 0.8, 0.01)
    brought = Answer([found("Anna", None, is_match)], 0.8, 0.01, is_measured=False)
    assert words.verdict(brought, False).headline == words.verdict(measured, False).headline
    assert "comes with the model" in words.verdict(brought, False).explanation
    assert "comes with the model" not in words.verdict(measured, False).explanation


def test_nobody_among_filtered_photos_is_not_nobody_in_the_gallery() -> None:
    answer = Answer([found("Anna", 0.4, False)], 0.8, 0.01)
    headline = words.verdict(answer, is_filtered=True).headline
    assert headline == "Nobody among the filtered photos"


def test_time_is_said_or_the_place_in_the_film() -> None:
    assert words.when(SIGHTING) == "sequence\N{NO-BREAK SPACE}2, frame\N{NO-BREAK SPACE}41"
    at_noon = Sighting(1, "Anna", 3, 1_767_268_800.0, 2, 41, "a.jpg", 0.0)
    assert words.when(at_noon) == "2026-01-01 12:00:00 UTC"
    assert words.when(Sighting(1, "Anna", 3, None, None, None, "a.jpg", 0.0)) == ""
