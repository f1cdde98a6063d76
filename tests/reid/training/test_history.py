"""Which epoch of a history is the best."""

import pytest

from reid.training.history import Row, best_epoch


@pytest.mark.parametrize(
    ("history", "best"),
    [
        ([{"val_loss": 3.0}, {"val_loss": 1.0}, {"val_loss": 2.0}], 1),
        ([{"val_loss": 1.0, "val_accuracy": 0.5}, {"val_loss": 2.0, "val_accuracy": 0.9}], 0),
        ([{"val_mAP": 0.2}, {"val_mAP": 0.6}, {"val_mAP": 0.4}], 1),
        ([{"val_mAP": 0.6, "val_rank1": 0.5}, {"val_mAP": 0.5, "val_rank1": 0.9}], 0),
        # The first of equal epochs.
        ([{"val_mAP": 0.2}, {"val_mAP": 0.6}, {"val_mAP": 0.6}], 1),
        ([{"val_loss": 1.0}, {"val_loss": 1.0}], 0),
        # Nothing is held out.
        ([{"loss": 1.0}, {"loss": 2.0}], 1),
    ],
)
def test_best_epoch_has_the_highest_map_or_else_the_lowest_loss(
    history: list[Row], best: int
) -> None:
    assert best_epoch(history) == best
