"""The types of parameters that several stages read, with their ranges."""

from typing import Annotated

from pydantic import Field

from reid.common.settings import Settings
from reid.data.protocols import Protocol

Seed = Annotated[int, Field(ge=0)]
Threads = Annotated[int, Field(ge=1)]
"""The threads of one operation of TensorFlow."""
BatchSize = Annotated[int, Field(ge=2)]
People = Annotated[int, Field(ge=2)]
"""P, the people in a batch of P people x K images of the triplet model."""


class RightAnswers(Settings):
    """The protocol, for stages that come before ``evaluate`` and look for queries' matches."""

    protocol: Protocol


class BaselineBatches(Settings):
    """The size of the baseline's batches, for stages that check whether the data can fill one."""

    batch_size: BatchSize


class TripletBatches(Settings):
    """The people in the triplet model's batches, for stages that check whether there are enough."""

    people: People
