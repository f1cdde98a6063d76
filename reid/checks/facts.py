"""What has to be known of every image and subset to judge a data set, derived from its index.

A fact is null where it doesn't apply, such as the matches of an image that is no query.
"""

from collections.abc import Collection

import pandas as pd

from reid.data.market import DISTRACTOR_PID, JUNK_PID, SUBSETS


def people_of(index: pd.DataFrame, subsets: Collection[str] = SUBSETS) -> pd.DataFrame:
    """The rows of ``subsets`` that show a person: no junk, no distractor, no unreadable name."""
    shows_person = index["pid"].gt(max(JUNK_PID, DISTRACTOR_PID)).fillna(False)
    return index[shows_person.astype(bool) & index["subset"].isin(subsets)]


def count_alike(rows: pd.DataFrame, pool: pd.DataFrame, by: list[str]) -> pd.Series:
    """For every row of ``rows``: how many rows of ``pool`` have the same values in ``by``.

    Returns:
        Int64 with the index of ``rows``.
    """
    counts = pool.groupby(by).size().rename("alike").reset_index()
    alike = rows[by].merge(counts, on=by, how="left")["alike"]
    return alike.fillna(0).astype("Int64").set_axis(rows.index)


def pid_outside_gallery(index: pd.DataFrame) -> pd.Series:
    """The pid of train and query images, where junk and distractors have no place."""
    return index.loc[index["subset"].ne("gallery"), "pid"].astype("Int64")


def size(index: pd.DataFrame) -> pd.Series:
    """Width and height in pixels as a string: ``64x128``."""
    return index["width"].astype(str) + "x" + index["height"].astype(str)


def pids_of_these_bytes(index: pd.DataFrame) -> pd.Series:
    """How many different pids the files with the same bytes carry."""
    return index.groupby("sha256")["pid"].transform("nunique").astype("Int64")


def copies_under_this_pid(index: pd.DataFrame) -> pd.Series:
    """How many files have the same bytes and the same pid, this one included."""
    named = index[index["pid"].notna()]
    return count_alike(named, named, ["sha256", "pid"])


def images_of_train_person_in_test(
    index: pd.DataFrame, test_subsets: Collection[str] = ("query", "gallery")
) -> pd.Series:
    """For train images of people: how many test images show the same person."""
    return count_alike(people_of(index, ["train"]), people_of(index, test_subsets), ["pid"])


def queries_of_this_person_and_camera(index: pd.DataFrame) -> pd.Series:
    """For queries of people: how many queries have the same person and camera, itself included."""
    queries = people_of(index, ["query"])
    return count_alike(queries, queries, ["pid", "camid"])


def matches_under_another_camera(index: pd.DataFrame) -> pd.Series:
    """For queries of people: how many gallery images show the person under another camera.

    They are the right answers of the single-query protocol.
    """
    queries, gallery = people_of(index, ["query"]), people_of(index, ["gallery"])
    same_camera = count_alike(queries, gallery, ["pid", "camid"])
    return count_alike(queries, gallery, ["pid"]) - same_camera


def train_images_of_this_person(index: pd.DataFrame) -> pd.Series:
    """For train images of people: how many train images show the person, this one included."""
    train = people_of(index, ["train"])
    return count_alike(train, train, ["pid"])


def image_facts(index: pd.DataFrame, test_subsets: Collection[str]) -> pd.DataFrame:
    """One row an image, in the order of ``index``: its path, its measures and the facts above.

    Args:
        index: one row an image: subset, name, pid, camid, width, height, sha256.
        test_subsets: where nobody of train may appear, of ``query`` and ``gallery``.
    """
    index = index.reset_index(drop=True)
    return pd.DataFrame(
        {
            "file": index["subset"] + "/" + index["name"],
            "pid": index["pid"],
            "camid": index["camid"],
            "width": index["width"],
            "height": index["height"],
            "size": size(index),
            "pid_outside_gallery": pid_outside_gallery(index),
            "pids_of_these_bytes": pids_of_these_bytes(index),
            "copies_under_this_pid": copies_under_this_pid(index),
            "images_of_train_person_in_test": images_of_train_person_in_test(index, test_subsets),
            "queries_of_this_person_and_camera": queries_of_this_person_and_camera(index),
            "matches_under_another_camera": matches_under_another_camera(index),
            "train_images_of_this_person": train_images_of_this_person(index),
        }
    )


def subset_facts(index: pd.DataFrame) -> pd.DataFrame:
    """One row a subset, also of those that are missing, and the counts that are judged.

    Junk and distractors count as images and never as people. ``images_to_train_on`` and
    ``people_with_a_pair``, people with two images or more, are those of a train set that is there,
    ``people_asked_for`` those of a query set that is there.
    """
    people = people_of(index)
    per_subset = {
        "images": index.groupby("subset").size(),
        "people": people.groupby("subset")["pid"].nunique(),
        "distractors": index[index["pid"].eq(DISTRACTOR_PID)].groupby("subset").size(),
        "junk": index[index["pid"].eq(JUNK_PID)].groupby("subset").size(),
    }
    facts = pd.DataFrame(per_subset, index=list(SUBSETS)).fillna(0).astype("Int64")
    train_present = (facts.index == "train") & facts["images"].gt(0)
    pairs = int(people_of(index, ["train"]).groupby("pid").size().ge(2).sum())
    facts["images_to_train_on"] = facts["images"].where(train_present)
    facts["people_with_a_pair"] = pd.Series(pairs, facts.index, "Int64").where(train_present)
    query_present = (facts.index == "query") & facts["images"].gt(0)
    facts["people_asked_for"] = facts["people"].where(query_present)
    return facts.rename_axis("subset").reset_index()
