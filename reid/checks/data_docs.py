"""Data Docs: a page of what a validation found, readable without network and scripts.

    index.html         what failed, the fatal failures first, and what holds
    failing_rows.csv   every row that fails: expectation, severity, row, observed

The project makes this page itself: Great Expectations' own pages load styles, fonts and scripts
from the network, and their names change with the time of the run.
"""

import csv
from pathlib import Path

import jinja2

from reid.checks.report import Report
from reid.common.files import replacing_folder

ASSETS = Path(__file__).with_name("assets")


def write_data_docs(folder: Path, dataset: str, report: Report) -> None:
    """Write the page and the table of a validation.

    Args:
        folder: the folder to write. It is replaced as a whole, or left as it was.
        dataset: the data set's name.
        report: the findings.
    """
    assets = jinja2.FileSystemLoader(ASSETS)
    environment = jinja2.Environment(loader=assets, autoescape=True, trim_blocks=True)
    page = environment.get_template("data_docs.html.j2").render(dataset=dataset, report=report)
    with replacing_folder(folder) as part:
        (part / "index.html").write_text(page, encoding="utf-8")
        with (part / "failing_rows.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["expectation", "severity", "row", "observed"])
            for outcome in report.outcomes:
                table.writerows(
                    [outcome.name, outcome.severity, offender.row, offender.observed]
                    for offender in outcome.offenders
                )
