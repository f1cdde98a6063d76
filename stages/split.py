"""Stage: give the training images their labels, and hold out some of them for validation."""

import logging
from typing import Literal

from pydantic import Field

from reid.common.files import replacing_file
from reid.common.settings import Settings
from reid.data import paths
from reid.data.dataset import NO_LABEL, TRAIN, VALIDATION, read_subset
from reid.data.protocols import words_for
from reid.preparation.split import held_out_queries, require_batches, split, with_protocol
from stages._params import BaselineBatches, RightAnswers, Seed, TripletBatches
from stages._stage import declared, run

logger = logging.getLogger(__name__)


class Split(Settings):
    """The parameters of ``split``."""

    holdout: Literal["images", "people"]
    """Whether to hold out images of every person, or whole people."""
    fraction: float = Field(gt=0, lt=1)
    """The share of the images, or of the people, to hold out."""


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares for this stage."""

    seed: Seed
    split: Split
    evaluate: RightAnswers
    baseline: BaselineBatches
    triplet: TripletBatches


def main() -> None:
    """Write ``build/split.parquet``."""
    params = declared("split", Params)
    train = read_subset(paths.DATASET, "train")
    table = split(train, params.split.holdout, params.split.fraction, params.seed)
    require_batches(table, params.baseline.batch_size, params.triplet.people)
    protocol = params.evaluate.protocol
    queries, without_match = held_out_queries(table, train["camid"], protocol)
    with replacing_file(paths.SPLIT) as part:
        with_protocol(table, protocol).to_parquet(part, index=False)
    counts = table["fold"].value_counts()
    logger.info(
        "%d labels; %d images to train, %d held out (%s)",
        table.loc[table["label"] != NO_LABEL, "label"].nunique(),
        counts[TRAIN],
        counts[VALIDATION],
        params.split.holdout,
    )
    if queries:
        logger.info(
            "%d queries of held-out people; the means leave out %d of them that have no match%s",
            queries,
            without_match,
            words_for(protocol),
        )


if __name__ == "__main__":
    run(main)
