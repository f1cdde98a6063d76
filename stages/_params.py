"""The sizes of training batches, for stages that make sure the data can fill them."""

from pydantic import Field

from reid.common.settings import Settings


class BaselineBatches(Settings):
    """Of the baseline."""

    batch_size: int = Field(ge=2)


class TripletBatches(Settings):
    """Of the triplet model: P people."""

    people: int = Field(ge=2)
