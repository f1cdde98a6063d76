"""Give training images their labels, and hold out some of them for validation."""

import math

import pandas as pd

from reid.common.errors import UserError
from reid.data.dataset import NO_LABEL, TRAIN, VALIDATION
from reid.data.protocols import ANY_CAMERA, CROSS_CAMERA, Protocol


def _held_out_images(pids: pd.Series, fraction: float, seed: int) -> pd.Index:
    """Draw about ``fraction`` of every person's images. A person's only image stays in training."""
    from sklearn.model_selection import StratifiedShuffleSplit  # noqa: PLC0415

    several = pids[pids.map(pids.value_counts()) > 1]
    size = math.ceil(len(pids) * fraction)
    people = several.nunique()
    if not people <= size <= len(several) - people:
        raise UserError(
            f"split.fraction {fraction} of {len(pids)} images is {size} for validation, "
            f"which leaves too few for {people} people with an image in each fold. "
            "Choose another split.fraction, or split.holdout: people."
        )
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
    training, validation = next(splitter.split(several, several))
    if several.iloc[training].nunique() < people:
        raise UserError(
            f"split.fraction {fraction} leaves some people without an image to train on. Lower it."
        )
    return several.index[validation]


def _held_out_people(pids: pd.Series, fraction: float, seed: int) -> pd.Index:
    """Draw about ``fraction`` of the people, with all their images."""
    from sklearn.model_selection import GroupShuffleSplit  # noqa: PLC0415

    people = pids.nunique()
    if not 1 <= math.ceil(people * fraction) < people:
        raise UserError(
            f"split.fraction {fraction} of {people} people leaves nobody to train on. Lower it."
        )
    splitter = GroupShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
    _, validation = next(splitter.split(pids, groups=pids))
    return pids.index[validation]


HOLDOUTS = {"images": _held_out_images, "people": _held_out_people}


def split(train: pd.DataFrame, holdout: str, fraction: float, seed: int) -> pd.DataFrame:
    """Give every training image a label and a fold.

    Args:
        train: the training subset with ``name`` and ``pid``, one row per image.
        holdout: ``images`` holds out images of every person: the classifier is validated on people
            that it knows. ``people`` holds out whole people: retrieval is validated on people
            that the model has never seen.
        fraction: the share of the images, or of the people, to hold out. The number is rounded up.
        seed: the seed of the draw.

    Returns:
        One row per image, in the order of ``train``: name, pid, label (0 to people - 1 in the
        order of pid; -1 for held-out people, for whom the softmax has no class) and fold
        (``train`` or ``validation``).

    Raises:
        UserError: the fraction leaves too few images to train on or to validate with.
    """
    from sklearn.preprocessing import LabelEncoder  # noqa: PLC0415

    pids = train["pid"].astype(int).reset_index(drop=True)
    validation = HOLDOUTS[holdout](pids, fraction, seed)
    fold = pd.Series(TRAIN, index=pids.index)
    fold[validation] = VALIDATION
    labelled = pids if holdout == "images" else pids[fold == TRAIN]
    encoder = LabelEncoder().fit(labelled)
    label = pd.Series(NO_LABEL, index=pids.index)
    label[labelled.index] = encoder.transform(labelled)
    return pd.DataFrame(
        {"name": train["name"].to_numpy(), "pid": pids, "label": label, "fold": fold}
    )


def require_batches(table: pd.DataFrame, batch_size: int, people: int) -> None:
    """Make sure before any training that the training fold can fill a batch.

    Args:
        table: the table that ``split`` returns.
        batch_size: the images in a batch of the baseline.
        people: the people in a batch of the triplet model.

    Raises:
        UserError: there are fewer images, or fewer people, than a batch needs.
    """
    train = table[table["fold"] == TRAIN]
    if len(train) < batch_size or train["pid"].nunique() < people:
        raise UserError(
            f"{len(train)} images of {train['pid'].nunique()} people are left to train on, too "
            f"few for baseline.batch_size {batch_size} or triplet.people {people}. "
            "Lower one of them, or split.fraction."
        )


def with_protocol(table: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """Add a column ``protocol`` if retrieval is validated by another one than ``cross_camera``.

    If images are held out instead of people, the table stays as it is. So a training becomes stale
    by a change of the protocol only if it validates retrieval.
    """
    if protocol == CROSS_CAMERA or not (table["label"] == NO_LABEL).any():
        return table
    return table.assign(protocol=protocol)


def held_out_queries(
    table: pd.DataFrame, camids: pd.Series, protocol: Protocol = CROSS_CAMERA
) -> tuple[int, int]:
    """Count the queries that validate retrieval, and those of them that have no match.

    After each epoch, the first image of every held-out person under each camera is a query, and
    the other images are the gallery. If images are held out instead of people, both counts are 0.

    Args:
        table: the table that ``split`` returns.
        camids: the camera of each of its rows.
        protocol: the protocol that decides which gallery images match.

    Raises:
        UserError: people are held out, and no query has a match.
    """
    held_out = table.assign(camid=camids.to_numpy())[table["label"] == NO_LABEL]
    gallery = held_out.groupby(["pid", "camid"]).size() - 1
    of_person = gallery.groupby("pid").transform("sum")
    has_match = of_person > (0 if protocol == ANY_CAMERA else gallery)
    if len(has_match) and not has_match.any():
        raise UserError(
            f"None of the {held_out['pid'].nunique()} held-out people has "
            + (
                "two images under one camera"
                if protocol == ANY_CAMERA
                else "images under two cameras, at least two of them under the same one"
            )
            + ": retrieval can't be validated. Raise split.fraction, or choose split.holdout: "
            "images."
        )
    return len(has_match), int((~has_match).sum())
