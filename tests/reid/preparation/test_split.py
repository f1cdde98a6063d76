from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid.common.errors import UserError
from reid.data.market import parse_name
from reid.preparation.split import held_out_queries, require_batches, split, with_protocol
from tests.support.places import MARKET_NAMES


def index(counts: list[int]) -> pd.DataFrame:
    pids = np.repeat([2 * pid + 3 for pid in range(len(counts))], counts)
    return pd.DataFrame({"name": [f"{n}.jpg" for n in range(len(pids))], "pid": pids})


@pytest.mark.skipif(not MARKET_NAMES.exists(), reason="the list of Market-1501's names is missing")
def test_market1501_is_split_into_known_numbers_of_images() -> None:
    paths = [Path(line) for line in MARKET_NAMES.read_text().split()]
    names = [p.name for p in paths if p.parent.name == "bounding_box_train"]
    pids = [parsed.pid for name in names if (parsed := parse_name(name))]
    table = split(pd.DataFrame({"name": names, "pid": pids}), "images", 0.2, seed=42)
    assert table["fold"].value_counts().to_dict() == {"train": 10348, "validation": 2588}
    assert table.loc[table["fold"] == "train", "label"].nunique() == 751


def test_labels_count_people_in_the_order_of_pid() -> None:
    table = split(index([3, 4, 5]), "images", 0.25, seed=0)
    assert table["label"].tolist() == [0] * 3 + [1] * 4 + [2] * 5


def test_held_out_images_leave_every_person_an_image_to_train_on() -> None:
    table = split(index([2, 2, 9, 1, 6]), "images", 0.3, seed=0)
    assert (table["fold"] == "validation").sum() == 6
    assert table.loc[table["fold"] == "train", "pid"].nunique() == 5


def test_held_out_people_are_held_out_with_all_their_images_and_have_no_label() -> None:
    table = split(index([4] * 10), "people", 0.2, seed=0)
    folds = table.groupby("pid")["fold"].unique()
    assert all(len(fold) == 1 for fold in folds)
    out = table["fold"] == "validation"
    assert table.loc[out, "pid"].nunique() == 2
    assert (table.loc[out, "label"] == -1).all()
    assert sorted(table.loc[~out, "label"].unique()) == list(range(8))


def test_seed_determines_the_split() -> None:
    first, second, other = (split(index([6] * 9), "images", 0.2, s) for s in (1, 1, 2))
    assert first.equals(second)
    assert not first.equals(other)


def test_impossible_fractions_and_batches_are_explained() -> None:
    with pytest.raises(UserError, match="leaves nobody to train on"):
        split(index([4]), "people", 0.5, seed=0)
    table = split(index([4] * 5), "people", 0.2, seed=0)
    require_batches(table, batch_size=16, people=4)
    with pytest.raises(UserError, match=r"16 images of 4 people.*triplet\.people 5"):
        require_batches(table, batch_size=16, people=5)
    with pytest.raises(UserError, match=r"baseline\.batch_size 17"):
        require_batches(table, batch_size=17, people=4)


@pytest.mark.parametrize(
    ("photos_by_camera", "without_match"),
    [([4, 0], None), ([1, 1], None), ([2, 1], 1), ([1, 3], 1), ([2, 3], 0)],
)
def test_held_out_people_need_a_match_under_another_camera(
    photos_by_camera: list[int], without_match: int | None
) -> None:
    people = 3
    train = index([sum(photos_by_camera)] * people)
    camids = pd.Series(np.tile(np.repeat([1, 2], photos_by_camera), people))
    held_out = split(train, "people", 0.3, seed=0)
    assert held_out_queries(split(train, "images", 0.5, seed=0), camids) == (0, 0)
    if without_match is None:
        with pytest.raises(UserError, match="None of the 1 held-out people"):
            held_out_queries(held_out, camids)
    else:
        assert held_out_queries(held_out, camids) == (2, without_match)


def test_held_out_people_of_one_camera_are_validated_by_any_camera() -> None:
    train, one_camera = index([2, 2, 2]), pd.Series([1] * 6)
    table = split(train, "people", 0.3, seed=0)
    assert held_out_queries(table, one_camera, "any_camera") == (1, 0)
    single = split(index([1, 1, 1]), "people", 0.3, seed=0)
    with pytest.raises(UserError, match="two images under one camera"):
        held_out_queries(single, pd.Series([1] * 3), "any_camera")


def test_split_names_the_protocol_only_if_it_validates_by_another_one() -> None:
    people, images = (split(index([2, 2, 2]), holdout, 0.5, 0) for holdout in ("people", "images"))
    assert set(with_protocol(people, "any_camera")["protocol"]) == {"any_camera"}
    assert with_protocol(people, "cross_camera") is people
    assert with_protocol(images, "any_camera") is images


def test_fraction_that_leaves_a_side_empty_is_explained() -> None:
    with pytest.raises(UserError, match=r"split\.fraction 0\.9"):
        split(index([2, 2, 2]), "images", 0.9, seed=0)
