"""Judge a data set by its index.

Great Expectations checks two tables: one row per image, and one row per subset. Importing this
module takes seconds, because it imports Great Expectations.
"""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations import Expectation

from reid.checks import expectations
from reid.checks.data_docs import write_data_docs
from reid.checks.facts import image_facts, subset_facts
from reid.checks.limits import Limits
from reid.checks.official import MARKET1501_COUNTS, Counts, holds_market1501, is_called_market1501
from reid.checks.report import Offender, Outcome, Report, Severity
from reid.data.market import QUERY_FOLDER, SUBSETS, TRAIN_FOLDER

# Great Expectations logs each of its temporary folders.
logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

ROW_NAMES = {"images": "file", "subsets": "subset"}
"""The column of each table that names a row."""

NEEDED_NAMES = {
    "train_images_of_this_person": {"train"},
    "people_with_a_pair": {"train"},
    "right_answers": {"query", "gallery"},
    "people_with_an_answer": {"query", "gallery"},
}
"""The subsets in which a file name that can't be read makes a fact seem too low."""


def _only_known(facts: pd.DataFrame, unread: Collection[str]) -> pd.DataFrame:
    """Set to null what a file name that can't be read may have made too low.

    Args:
        facts: the table of `image_facts` or `subset_facts`.
        unread: the subsets with such names.
    """
    facts = facts.copy()
    for name, needed in NEEDED_NAMES.items():
        if name in facts and needed & set(unread):
            facts[name] = pd.NA
    if "subset" in facts:
        counts = [name for name in Counts._fields if name != "images"]
        facts.loc[facts["subset"].isin(list(unread)), counts] = pd.NA
    return facts


def _with_official_counts(subsets: pd.DataFrame, gallery_folder: str) -> pd.DataFrame:
    """Add the official counts to the table ``subset_facts``."""
    folders = (TRAIN_FOLDER, QUERY_FOLDER, gallery_folder)
    official = pd.DataFrame([MARKET1501_COUNTS[f] for f in folders], index=list(SUBSETS))
    official = official.astype("Int64").add_prefix("official_")
    return subsets.join(official, on="subset")


def _validate(
    table: pd.DataFrame, name: str, expectations: Sequence[Expectation]
) -> ExpectationSuiteValidationResult:
    """Check expectations on a table whose name is ``images`` or ``subsets``."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("index").add_dataframe_asset(name)
    batches = asset.add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=list(expectations)))
    definition = gx.ValidationDefinition(name=name, data=batches, suite=suite)
    return context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": table},
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": [ROW_NAMES[name]],
            "partial_unexpected_count": 0,
            "return_unexpected_index_query": False,
        },
    )


def _outcome(result: ExpectationValidationResult, unit: str) -> Outcome:
    """Convert the result of an expectation from Great Expectations' types."""
    config, found = result.expectation_config, result.result
    assert config is not None
    if "unexpected_count" not in found:
        raise RuntimeError(f"{config.meta['name']} can't be judged: {result.exception_info}")
    offenders = []
    for row in found["unexpected_index_list"]:
        observed = [c for c in sorted(row) if c != ROW_NAMES[unit] and pd.notna(row[c])]
        values = ", ".join(f"{column} {row[column]}" for column in observed)
        offenders.append(Offender(row=row[ROW_NAMES[unit]], observed=values))
    return Outcome(
        name=config.meta["name"],
        description=str(config.description),
        hint=config.meta["hint"],
        severity=Severity(config.meta["severity"]),
        unit=unit,
        success=bool(result.success),
        offenders=tuple(offenders),
    )


def check(index: pd.DataFrame, limits: Limits, data_docs: Path | None = None) -> Report:
    """Judge a data set by its index.

    Args:
        index: one row per image of the three subsets: subset, name (str), pid, camid (Int32, null
            if the name has another form), width, height (pixels), transparent (bool), flat_bottom
            (a share), sha256 (hexadecimal).
        limits: the settings of the expectations.
        data_docs: the folder to write the Data Docs to, whatever the outcome. It is replaced as a
            whole; ``index.html`` in it is the page to begin with.

    Raises:
        RuntimeError: an expectation can't be checked, because a column has the wrong type.
    """
    unread = set(index.loc[index["pid"].isna(), "subset"])
    subsets = subset_facts(index, limits.protocol, limits.other_formats)
    images = image_facts(index, limits.test_subsets, limits.protocol)
    if not images["right_answers"].gt(0).any():
        # `enough_people_to_be_sure` says it once, not for every query.
        images["right_answers"] = pd.NA
    subset_expectations = [
        *expectations.subset_expectations(index, limits),
        expectations.other_format_expectation(),
    ]
    holds = limits.official_counts and holds_market1501(index, limits.gallery_folder)
    if holds or is_called_market1501(limits.dataset):
        subsets = _with_official_counts(subsets, limits.gallery_folder)
        subset_expectations += expectations.official_expectations(holds)
    image_expectations = [
        expectations.name_expectation(index, limits.names),
        *expectations.image_expectations(limits),
        *expectations.answer_expectations(limits.protocol, holds),
    ]
    results = {
        "subsets": _validate(_only_known(subsets, unread), "subsets", subset_expectations),
        "images": _validate(_only_known(images, unread), "images", image_expectations),
    }
    report = Report(
        tuple(_outcome(r, unit) for unit, suite in results.items() for r in suite.results)
    )
    if data_docs:
        write_data_docs(data_docs, limits.dataset, report)
    return report
