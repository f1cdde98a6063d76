"""Great Expectations' Data Docs as pages that need neither network nor scripts.

The stock site loads its styles, fonts and scripts from seven hosts, fills its tables by script and
names its pages by the time. Here the stock renderers make the contents, and the templates of
``assets/data_docs`` take the place of those stock templates that reach for the network:

    index.html     what failed, fatal first, and all that holds: the page to begin with
    subsets.html   Great Expectations' page of the suite over the subsets
    images.html    Great Expectations' page of the suite over the images
    style.css
"""

import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render import (
    RenderedContent,
    RenderedStringTemplateContent,
    RenderedTableContent,
)
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.renderer.content_block import (
    ValidationResultsTableContentBlockRenderer,
)
from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader, pass_context

from reid.checks.report import Report
from reid.common.files import replacing_folder

ASSETS = Path(__file__).with_name("assets")

# The worst failure of a suite, and how its page begins.
VERDICTS = {
    None: "passed",
    FailureSeverity.WARNING: "warned",
    FailureSeverity.CRITICAL: "failed",
}


class ExpectationTable(ValidationResultsTableContentBlockRenderer):
    """The stock table of expectations, with the severity and what to do beside the description."""

    @classmethod
    def _render_expectation_description(
        cls, configuration: ExpectationConfiguration, runtime_configuration: dict, **kwargs: Any
    ) -> list[RenderedStringTemplateContent]:
        severity = configuration.meta["severity"]
        return [
            RenderedStringTemplateContent(
                string_template={
                    "template": "$severity $description\n$hint",
                    "params": {
                        "severity": severity,
                        "description": configuration.description,
                        "hint": configuration.meta["hint"],
                    },
                    "styling": {
                        "params": {
                            "severity": {"classes": ["badge", severity]},
                            "description": {"tag": "strong"},
                            "hint": {"classes": ["hint"]},
                        }
                    },
                },
            )
        ]


class OfflinePageView(DefaultJinjaPageView):
    """The stock view, with this project's templates before the stock ones of the same name."""

    def __init__(self) -> None:
        """Put the templates in front."""
        super().__init__()
        assert self.env.loader is not None
        self.env.loader = ChoiceLoader([FileSystemLoader(ASSETS), self.env.loader])

    @pass_context
    def render_content_block(self, context: Any, content_block: Any, *args: Any, **kw: Any) -> Any:
        """Render a part of the page; plain text, such as a file name, never as markup."""
        if isinstance(content_block, str):
            return escape(content_block)
        return super().render_content_block(context, content_block, *args, **kw)


def _drop_run_rows(block: RenderedContent) -> None:
    """Take the rows about the run out of a block's table, and out of those folded up in it."""
    if isinstance(block, RenderedTableContent):
        block.table = [row for row in block.table if row[0] not in ("Run Name", "Run Time")]
    for inner in getattr(block, "collapse", []):
        _drop_run_rows(inner)


def _suite_page(result: ExpectationSuiteValidationResult, dataset: str) -> str:
    """Great Expectations' own page of a suite's results, as HTML."""
    table = {"module_name": __name__, "class_name": ExpectationTable.__name__}
    sections = {
        "class_name": "ValidationResultsColumnSectionRenderer",
        "table_renderer": table,
    }
    # Without the time of the run, the same data and limits give the same pages.
    result.meta.get("batch_markers", {}).pop("ge_load_time", None)
    document = ValidationResultsPageRenderer(column_section_renderer=sections).render(result)
    for block in document.sections[0].content_blocks:
        _drop_run_rows(block)
    # The stock header links to a page of the suite that isn't written; the template has its own.
    del document.sections[0].content_blocks[0]
    verdict = VERDICTS[result.get_max_severity_failure()]
    return OfflinePageView().render(
        document, dataset=dataset, suite=result.suite_name, verdict=verdict
    )


def _index_page(report: Report, dataset: str) -> str:
    template = OfflinePageView().env.get_template("index.html")
    return template.render(report=report, dataset=dataset)


def write_data_docs(
    folder: Path,
    dataset: str,
    report: Report,
    results: Mapping[str, ExpectationSuiteValidationResult],
) -> None:
    """Write the pages of a validation; ``folder`` is replaced as a whole, or left as it was.

    Args:
        folder: where to write.
        dataset: name of the data set.
        report: what the index page tells.
        results: of each suite, by its name: ``subsets`` and ``images``.
    """
    with replacing_folder(folder) as part:
        shutil.copy(ASSETS / "style.css", part)
        (part / "index.html").write_text(_index_page(report, dataset), encoding="utf-8")
        for suite, result in results.items():
            page = _suite_page(result, dataset)
            (part / f"{suite}.html").write_text(page, encoding="utf-8")
