"""Facts about every image and subset that the expectations judge, derived from the index.

A fact is null if it doesn't apply: only queries have a number of matches, for example.
"""

from collections.abc import Collection, Mapping

import pandas as pd

from reid.data.market import DISTRACTOR_PID, JUNK_PID, SUBSETS
from reid.data.protocols import ANY_CAMERA, Protocol


def people_of(index: pd.DataFrame, subsets: Collection[str] = SUBSETS) -> pd.DataFrame:
    """Return the rows of ``subsets`` that show a person, not junk, distractors or unknown names."""
    shows_person = index["pid"].gt(max(JUNK_PID, DISTRACTOR_PID)).fillna(False)
    return index[shows_person.astype(bool) & index["subset"].isin(subsets)]


def count_alike(rows: pd.DataFrame, pool: pd.DataFrame, by: list[str]) -> pd.Series:
    """Count for every row of ``rows`` the rows of ``pool`` with the same values in ``by``.

    Returns:
        Int64 with the index of ``rows``.
    """
    counts = pool.groupby(by).size().rename("alike").reset_index()
    alike = rows[by].merge(counts, on=by, how="left")["alike"]
    return alike.fillna(0).astype("Int64").set_axis(rows.index)


def pid_outside_gallery(index: pd.DataFrame) -> pd.Series:
    """Return the pid of train and query images, which must not be junk or distractors."""
    return index.loc[index["subset"].ne("gallery"), "pid"].astype("Int64")


def size(index: pd.DataFrame) -> pd.Series:
    """Return width and height in pixels as a string: ``64x128``."""
    return index["width"].astype(str) + "x" + index["height"].astype(str)


def pids_of_these_bytes(index: pd.DataFrame) -> pd.Series:
    """Count the different pids of the files with the same bytes."""
    return index.groupby("sha256")["pid"].transform("nunique").astype("Int64")


def copies_under_this_pid(index: pd.DataFrame) -> pd.Series:
    """Count the files with the same bytes and the same pid, including this one."""
    named = index[index["pid"].notna()]
    return count_alike(named, named, ["sha256", "pid"])


def images_of_train_person_in_test(
    index: pd.DataFrame, test_subsets: Collection[str] = ("query", "gallery")
) -> pd.Series:
    """Count for each train image of a person the test images that show the same person."""
    return count_alike(people_of(index, ["train"]), people_of(index, test_subsets), ["pid"])


def queries_of_this_person_and_camera(index: pd.DataFrame) -> pd.Series:
    """Count for each query the queries of the same person and camera, including itself."""
    queries = people_of(index, ["query"])
    return count_alike(queries, queries, ["pid", "camid"])


def right_answers(index: pd.DataFrame, protocol: Protocol) -> pd.Series:
    """Count for each query the gallery images that the protocol takes for right answers.

    These show the person; by ``cross_camera``, under another camera than the query's.
    """
    queries, gallery = people_of(index, ["query"]), people_of(index, ["gallery"])
    of_person = count_alike(queries, gallery, ["pid"])
    if protocol == ANY_CAMERA:
        return of_person
    return of_person - count_alike(queries, gallery, ["pid", "camid"])


def people_with_an_answer(index: pd.DataFrame, protocol: Protocol) -> int:
    """Count the people of whom a query has a right answer. All figures rest on these people."""
    answers = right_answers(index, protocol)
    return int(index.loc[answers.index[answers.gt(0)], "pid"].nunique())


def copies_in_gallery(index: pd.DataFrame) -> pd.Series:
    """Count for each query the gallery images with the same bytes."""
    of_subset = index["subset"].eq
    return count_alike(index[of_subset("query")], index[of_subset("gallery")], ["sha256"])


def train_images_of_this_person(index: pd.DataFrame) -> pd.Series:
    """Count for each train image the train images that show the person, including itself."""
    train = people_of(index, ["train"])
    return count_alike(train, train, ["pid"])


def image_facts(
    index: pd.DataFrame, test_subsets: Collection[str], protocol: Protocol
) -> pd.DataFrame:
    """Return one row per image, in the order of ``index``, with the facts above.

    Args:
        index: one row per image: subset, name, pid, camid, width, height, transparent, flat_bottom,
            sha256.
        test_subsets: the subsets in which no train person may appear.
        protocol: the protocol that decides which answers are right.
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
            "transparent": index["transparent"].astype(bool),
            "flat_bottom": index["flat_bottom"].round(2),
            "pid_outside_gallery": pid_outside_gallery(index),
            "pids_of_these_bytes": pids_of_these_bytes(index),
            "copies_under_this_pid": copies_under_this_pid(index),
            "images_of_train_person_in_test": images_of_train_person_in_test(index, test_subsets),
            "queries_of_this_person_and_camera": queries_of_this_person_and_camera(index),
            "right_answers": right_answers(index, protocol),
            "copies_in_gallery": copies_in_gallery(index),
            "train_images_of_this_person": train_images_of_this_person(index),
        }
    )


def counted_formats(counts: Mapping[str, int]) -> str | None:
    """Return the numbers of images by ending as text, ``12 .bmp, 3 .webp``, or None."""
    return ", ".join(f"{count:,} {suffix}" for suffix, count in counts.items()) or None


def subset_facts(
    index: pd.DataFrame,
    protocol: Protocol,
    other_formats: Mapping[str, Mapping[str, int]] | None = None,
) -> pd.DataFrame:
    """Return one row per subset, even if it is empty, with its counts.

    Args:
        index: one row per image: subset, pid, camid.
        protocol: the protocol that decides which answers are right.
        other_formats: for each subset, the number of images that were not read, by ending.

    Junk and distractors count as images and never as people. ``images_to_train_on`` and
    ``people_with_a_pair`` (people with two images or more) are null except for a train subset that
    contains images. ``people_with_an_answer`` is null except for the query subset, if both query
    and gallery contain images.
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
    test_present = (facts.index == "query") & facts.loc[["query", "gallery"], "images"].gt(0).all()
    answered = people_with_an_answer(index, protocol)
    facts["people_with_an_answer"] = pd.Series(answered, facts.index, "Int64").where(test_present)
    facts["other_formats"] = [counted_formats((other_formats or {}).get(s, {})) for s in SUBSETS]
    return facts.rename_axis("subset").reset_index()
