"""The settings that a data set is judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reid.data.protocols import Protocol


@dataclass(frozen=True)
class Limits:
    """The settings of the expectations.

    Attributes:
        dataset: the data set's name.
        gallery_folder: ``bounding_box_test`` or ``gt_bbox``.
        names: how file names were read: a form of `reid.data.market` or a regular expression.
        protocol: the protocol of the figures, which decides which answers are right.
        official_counts: whether Market-1501 must have its official counts.
        cameras: the highest camera number.
        min_width, min_height: the size of the smallest image that can show a person, in pixels.
        usual_size: the usual width and height of an image, in pixels.
        people_per_batch: P, the people in a P x K batch of the triplet loss.
        batch_size: the images in a batch of the softmax loss.
        few_images: a train person with fewer images than this is worth a warning.
        other_formats: for each subset, the number of images by ending that were not read.
    """

    dataset: str
    gallery_folder: str
    names: str
    protocol: Protocol
    official_counts: bool
    cameras: int
    min_width: int
    min_height: int
    usual_size: tuple[int, int]
    people_per_batch: int
    batch_size: int
    few_images: int
    other_formats: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def test_subsets(self) -> tuple[str, ...]:
        """The subsets in which no train person may appear."""
        # gt_bbox holds the hand-drawn boxes of both train and test people. If it is the gallery,
        # its train people are only additional wrong answers: they match no query.
        return ("query",) if self.gallery_folder == "gt_bbox" else ("query", "gallery")
