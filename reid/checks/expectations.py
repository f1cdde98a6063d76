"""The expectations that a data set must meet before models are trained and measured on it.

Importing this module takes seconds, because it imports Great Expectations.
"""

from typing import Any

import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.expectations import Expectation

from reid.checks.facts import people_with_an_answer
from reid.checks.limits import Limits
from reid.checks.official import MARKET1501, Counts
from reid.checks.report import Severity
from reid.data.market import (
    DISTRACTOR_PID,
    FORMS,
    JUNK_PID,
    QUERY_FOLDER,
    TRAIN_FOLDER,
    form_of,
    forms_that_read,
)
from reid.data.protocols import ANY_CAMERA, CROSS_CAMERA, Protocol

GX_SEVERITY = {Severity.FATAL: "critical", Severity.WARNING: "warning"}

MOST_FLAT = 0.05
"""The share of rows in one flat colour at the bottom from which an image may be cut off.

``docs/data.md`` has the counts behind it.
"""

_WITHOUT_MATCH = (
    "Nothing, if the test set is given so: the figures leave these queries out and count them as "
    "queries_without_match. Else add such images to the gallery, or remove these queries."
)


def _words(name: str, severity: Severity, description: str, hint: str) -> dict[str, Any]:
    """Return the arguments of an expectation that say what it is for."""
    return {
        "description": description,
        "severity": GX_SEVERITY[severity],
        "meta": {"name": name, "severity": severity.value, "hint": hint},
    }


def name_expectation(index: pd.DataFrame, names: str) -> Expectation:
    """Return the expectation that every name can be read, with advice that fits these names."""
    is_unread = index["pid"].isna().any()
    fitting = forms_that_read(index["name"].tolist()) if is_unread else []
    if fitting:
        advice = f"Set ingest.names: {fitting[0]} in params.yaml. It reads all names."
    else:
        advice = (
            f"Choose with ingest.names in params.yaml how names are read ({', '.join(FORMS)}, or "
            "a regular expression of your own; see docs/data.md). Or rename the files, or move "
            "them out of the data set."
        )
    form = f"{names}: " if names in FORMS else ""
    return gxe.ExpectColumnValuesToNotBeNull(
        column="pid",
        **_words(
            "name_follows_pattern",
            Severity.FATAL,
            f"Every file name has the form {form}{form_of(names).description}",
            advice,
        ),
    )


def image_expectations(limits: Limits) -> list[Expectation]:
    """Return the expectations about the table ``image_facts``, without those about answers."""
    usual_size = "{}x{}".format(*limits.usual_size)
    test = " or ".join(limits.test_subsets)
    return [
        gxe.ExpectColumnValuesToNotBeInSet(
            column="pid_outside_gallery",
            value_set=[JUNK_PID, DISTRACTOR_PID],
            **_words(
                "no_strangers_in_train_or_query",
                Severity.FATAL,
                f"Train and query contain neither junk (id {JUNK_PID}) "
                f"nor distractors (id {DISTRACTOR_PID:04})",
                "If the data set counts people from 0, set ingest.person_0: person in params.yaml. "
                "Else remove these images, or give them the ids of the people they show.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="camid",
            min_value=0,
            max_value=limits.cameras,
            **_words(
                "camera_in_range",
                Severity.FATAL,
                f"Every camera number is from 0 to {limits.cameras}",
                "Correct the camera in the file names, or validate.cameras in params.yaml.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="width",
            min_value=limits.min_width,
            **_words(
                "wide_enough",
                Severity.FATAL,
                f"Every image is at least {limits.min_width} pixels wide",
                "Remove these images: they are too small to show a person.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="height",
            min_value=limits.min_height,
            **_words(
                "high_enough",
                Severity.FATAL,
                f"Every image is at least {limits.min_height} pixels high",
                "Remove these images: they are too small to show a person.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="pids_of_these_bytes",
            max_value=1,
            **_words(
                "bytes_under_one_id",
                Severity.FATAL,
                "No two files with the same bytes have different ids",
                "Find out whom the image shows and remove the files with the other ids.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="images_of_train_person_in_test",
            max_value=0,
            **_words(
                "train_and_test_people_disjoint",
                Severity.FATAL,
                f"No person in train appears in {test}",
                "Keep each of these people either in train or in test. If two people share an id, "
                "give one of them another id.",
            ),
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="size",
            value_set=[usual_size],
            **_words(
                "usual_size",
                Severity.WARNING,
                f"Every image measures {usual_size} pixels",
                "Nothing, if this size is intended: images are resized to the network's input.",
            ),
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="transparent",
            value_set=[False],
            **_words(
                "opaque",
                Severity.WARNING,
                "No image has transparent pixels",
                "Nothing, if these people are meant to be cut out: mid-grey shows behind them.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="flat_bottom",
            max_value=MOST_FLAT,
            strict_max=True,
            **_words(
                "whole_to_the_bottom",
                Severity.WARNING,
                f"In no image is the lowest {MOST_FLAT:.0%} or more of the rows one flat colour",
                "Look at these images. If their lower part is missing, because a copy or a "
                "download was cut off, get them again.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="copies_under_this_pid",
            max_value=1,
            **_words(
                "bytes_once_under_an_id",
                Severity.WARNING,
                "No two files of the same id have the same bytes",
                "Keep one of these files: a copy in train counts twice, "
                "a copy in the gallery is found too easily.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="train_images_of_this_person",
            min_value=limits.few_images,
            **_words(
                "enough_images_of_a_person",
                Severity.WARNING,
                f"Every person in train has at least {limits.few_images} images",
                "Nothing, if there are few such people: "
                "their images are repeated to fill a batch of the triplet loss.",
            ),
        ),
    ]


def answer_expectations(protocol: Protocol, is_official: bool) -> list[Expectation]:
    """Return the expectations about queries and their answers.

    Other data sets have fixed test sets, too, with several queries of a person under one camera or
    without a right answer. The figures are defined for them: each query counts once, and those
    without a right answer are left out and counted. The official Market-1501 has no such queries.
    """
    severity = Severity.FATAL if is_official else Severity.WARNING
    if protocol == ANY_CAMERA:
        return [
            gxe.ExpectColumnValuesToBeBetween(
                column="copies_in_gallery",
                max_value=0,
                **_words(
                    "query_not_in_gallery",
                    Severity.FATAL,
                    "No query has the same bytes as a gallery image",
                    "Remove these photos from the gallery: by the protocol any_camera, every such "
                    "query would find itself.",
                ),
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="right_answers",
                min_value=1,
                **_words(
                    "query_has_match",
                    severity,
                    "The gallery shows the person of every query",
                    _WITHOUT_MATCH,
                ),
            ),
        ]
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="queries_of_this_person_and_camera",
            max_value=1,
            **_words(
                "one_query_per_person_and_camera",
                severity,
                "Every person has at most one query under each camera",
                "Nothing, if the queries are given so: each query counts once, so people with "
                "many queries count more.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="right_answers",
            min_value=1,
            **_words(
                "query_has_match_under_another_camera",
                severity,
                "The gallery shows the person of every query under another camera",
                _WITHOUT_MATCH,
            ),
        ),
    ]


def _sureness_expectation(index: pd.DataFrame, limits: Limits) -> Expectation:
    """Return the expectation that figures can be measured, with advice that fits the cameras."""
    enough = 2
    hint = "Add gallery images of the queries' people, or queries of other people."
    if limits.protocol == CROSS_CAMERA:
        cameras = index["camid"].dropna().unique()
        if len(cameras) == 1:
            hint = f"All photos carry camera {cameras[0]}. Give them their cameras (ingest.names)."
        if people_with_an_answer(index, ANY_CAMERA) >= enough:
            hint += (
                " Or set evaluate.protocol: any_camera in params.yaml: gallery images under the "
                "query's own camera then count as right answers. That is easier, and all figures "
                "say so."
            )
    elsewhere = " under another camera" if limits.protocol == CROSS_CAMERA else ""
    return gxe.ExpectColumnValuesToBeBetween(
        column="people_with_an_answer",
        min_value=enough,
        **_words(
            "enough_people_to_be_sure",
            Severity.FATAL,
            f"At least {enough} people have a query, and a gallery image{elsewhere}, as the "
            "confidence intervals need",
            hint,
        ),
    )


def subset_expectations(index: pd.DataFrame, limits: Limits) -> list[Expectation]:
    """Return the expectations about the table ``subset_facts``."""
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="images",
            min_value=1,
            **_words(
                "subset_present",
                Severity.FATAL,
                "Train, query and gallery each contain images",
                f"Put images into {TRAIN_FOLDER}, {QUERY_FOLDER} and {limits.gallery_folder}.",
            ),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="people_with_a_pair",
            min_value=limits.people_per_batch,
            **_words(
                "enough_people_for_a_batch",
                Severity.FATAL,
                f"At least {limits.people_per_batch} people in train have two images or more, "
                "to fill a batch of the triplet loss",
                "Lower triplet.people in params.yaml, or add people.",
            ),
        ),
        _sureness_expectation(index, limits),
        gxe.ExpectColumnValuesToBeBetween(
            column="images_to_train_on",
            min_value=limits.batch_size,
            **_words(
                "enough_images_for_a_batch",
                Severity.FATAL,
                f"Train contains at least {limits.batch_size} images, "
                "to fill a batch of the softmax loss",
                "Lower baseline.batch_size in params.yaml, or add images.",
            ),
        ),
    ]


def other_format_expectation() -> Expectation:
    """Return the expectation that no image was left unread because of its format."""
    return gxe.ExpectColumnValuesToBeNull(
        column="other_formats",
        **_words(
            "only_jpeg_and_png",
            Severity.WARNING,
            "All images are JPEG or PNG files, by the ending of their names",
            "Save these images as JPEG or PNG, with the ending .jpg or .png: they were not read. "
            "A .jfif file is a JPEG and needs only another ending. A .part file is a download that "
            "has not ended, and a .icloud file stands for a photo that has to be downloaded.",
        ),
    )


def official_expectations(is_official: bool) -> list[Expectation]:
    """Return the expectations about the table of ``_with_official_counts``.

    A data set that is only called Market-1501 may be a part of it: a warning.
    """
    if is_official:
        severity, counts = Severity.FATAL, list(Counts._fields)
        hint = (
            f"Get the official zip again: these are the people and cameras of {MARKET1501}. If the "
            "changes are meant, set validate.official_counts: false in params.yaml."
        )
    else:
        severity, counts = Severity.WARNING, ["images"]
        hint = f"Nothing, if this is not the whole {MARKET1501}. Else get the official zip again."
    return [
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A=count,
            column_B=f"official_{count}",
            ignore_row_if="either_value_is_missing",
            **_words(
                f"official_{count}",
                severity,
                f"The number of {count} in each subset is the official one of {MARKET1501}",
                hint,
            ),
        )
        for count in counts
    ]
