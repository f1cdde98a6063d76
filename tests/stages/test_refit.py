"""Which trainings are repeated on all images."""

import pytest

from stages._training import can_refit
from tests.support.small_training import fold, folds


def test_held_out_people_are_not_learnt_from(caplog: pytest.LogCaptureFixture) -> None:
    strangers = fold(4, 1, first_label=100, labelled=False)
    assert not can_refit("triplet", folds(fold(6, 0), strangers))
    assert "triplet.refit_epochs has no effect while split.holdout is people" in caplog.text


def test_held_out_images_are_learnt_from(caplog: pytest.LogCaptureFixture) -> None:
    assert can_refit("triplet", folds(fold(6, 0), fold(2, 1)))
    assert not caplog.text
