"""Labels for the softmax and the images held out for validation."""

import math

import pandas as pd

from reid.common.errors import UserError
from reid.data.dataset import NO_LABEL, TRAIN, VALIDATION


def _held_out_images(pids: pd.Series, fraction: float, seed: int) -> pd.Index:
    """Rows of about ``fraction`` of every person's images; a person's only image stays in train."""
    from sklearn.model_selection import StratifiedShuffleSplit  # noqa: PLC0415

    several = pids[pids.map(pids.value_counts()) > 1]
    size = math.ceil(len(pids) * fraction)
    people = several.nunique()
    if not people <= size <= len(several) - people:
        raise UserError(
            f"split.fraction {fraction} of {len(pids)} images is {size} for validation, "
            f"which leaves too few for {people} people with an image on each side. "
            "Choose another split.fraction, or split.holdout: people."
        )
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
    training, validation = next(splitter.split(several, several))
    if several.iloc[training].nunique() < people:
        raise UserError(
            f"split.fraction {fraction} leaves some people no image to train on. Lower it."
        )
    return several.index[validation]


def _held_out_people(pids: pd.Series, fraction: float, seed: int) -> pd.Index:
    """Rows of all images of about ``fraction`` of the people."""
    from sklearn.model_selection import GroupShuffleSplit  # noqa: PLC0415

    people = pids.nunique()
    if not 1 <= math.ceil(people * fraction) < people:
        raise UserError(
            f"split.fraction {fraction} of {people} people leaves none to train on. Lower it."
        )
    splitter = GroupShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
    _, validation = next(splitter.split(pids, groups=pids))
    return pids.index[validation]


HOLDOUTS = {"images": _held_out_images, "people": _held_out_people}


def split(train: pd.DataFrame, holdout: str, fraction: float, seed: int) -> pd.DataFrame:
    """Give every training image a label and a fold.

    Args:
        train: index of the training subset with ``name`` and ``pid``, a row an image.
        holdout: ``images`` holds out images of every person (the classifier is validated on
            people it knows); ``people`` holds out whole people (retrieval is validated on people
            it has never seen).
        fraction: share of images, or of people, to hold out; the count is rounded up.
        seed: of the draw.

    Returns:
        A row an image, in the order of ``train``: name, pid, label (0 to people - 1 in the order
        of pid, -1 for held-out people, whom no softmax knows), fold (``train``, ``validation``).

    Raises:
        UserError: the fraction leaves a side without images.
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
    """Say before any training that the training fold can't fill a batch.

    Args:
        table: as ``split`` makes it.
        batch_size: of the baseline.
        people: P of the triplet model's batches.

    Raises:
        UserError: there are fewer images, or fewer people, than a batch needs.
    """
    train = table[table["fold"] == TRAIN]
    if len(train) < batch_size or train["pid"].nunique() < people:
        raise UserError(
            f"{len(train)} images of {train['pid'].nunique()} people are left to train on, too "
            f"few for baseline.batch_size {batch_size} or triplet.people {people}. "
            "Lower these, or split.fraction."
        )


def held_out_queries(table: pd.DataFrame, camids: pd.Series) -> tuple[int, int]:
    """How many queries validate retrieval, and how many of them have no match to be found.

    After an epoch, the first image of a held-out person and camera is a query, the others are
    gallery. Both are 0 where images are held out.

    Args:
        table: as ``split`` makes it.
        camids: of its rows.

    Raises:
        UserError: people are held out, and no query has a match under another camera.
    """
    held_out = table.assign(camid=camids.to_numpy())[table["label"] == NO_LABEL]
    gallery = held_out.groupby(["pid", "camid"]).size() - 1
    has_match = gallery.groupby("pid").transform("sum") > gallery
    if len(has_match) and not has_match.any():
        raise UserError(
            f"None of the {held_out['pid'].nunique()} held-out people has images of two cameras, "
            "two of one of them: retrieval can't be validated. Raise split.fraction, or choose "
            "split.holdout: images."
        )
    return len(has_match), int((~has_match).sum())
