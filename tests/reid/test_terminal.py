"""Text from outside is shown as it is: in every table of the terminal, in Markdown, on pages."""

import ast
import html
from io import StringIO
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import RenderableType

from experiments.joining import JoinedResult
from experiments.reproduction import Reproduction, reproduction_table
from experiments.results_table import results_table
from experiments.sweep import outcome
from experiments.sweep_page import sweep_page
from experiments.sweep_run import SweepRun
from experiments.sweep_table import sweep_table
from reid.checks.data_docs import write_data_docs
from reid.checks.report import Report
from reid.common.files import write_json
from reid.data import paths
from reid.evaluation.figures import COUNTS, FIGURES
from reid.report import camera_table, metrics_table, mistakes_line, open_set_line
from reid.terminal import console
from runs.description import describe
from runs.markdown import code, plain
from runs.one_run_per_result import RunIdentity
from runs.worktree import WorkTree
from tests.support.places import ROOT
from verify.recurrence import Recurrence
from verify.result import ResultFiles
from verify.rule import Judgement
from verify.tables import figures_table, files_table

NASTY = ("[red]x[/]", "[/]", ":smile:", "a|b", "<b>y</b>", "`t`", "*z*", "_u_", "[l](m)", "&lt;")
WIDTH = 80
CHECKED = ("reid", "runs", "stages", "experiments", "verify")


def shown(part: RenderableType) -> str:
    file = StringIO()
    console(file=file, width=WIDTH).print(part)
    lines = file.getvalue().splitlines()
    assert max(len(line) for line in lines) <= WIDTH
    return file.getvalue()


def figures() -> dict[str, float]:
    ends = {f"{name}_{end}": 0.5 for name in FIGURES for end in ("low", "high")}
    wrong = {"wrong_first_answers": 1, "wrong_first_answers_distractor": 1, "reranked": 0}
    open_set = {"FNIR_at_1pct": 0.5, "FPIR_at_1pct": 0.02}
    return dict.fromkeys(FIGURES, 0.5) | dict.fromkeys(COUNTS, 8) | ends | wrong | open_set


def table_of_results(text: str) -> RenderableType:
    metrics = {"triplet/rank1": 0.5}
    one, other = (
        JoinedResult((name,), "both", "0123456789", text, text, "f", {text: value}, metrics)
        for name, value in ((text, text), ("other", "1"))
    )
    return results_table([one, other], "triplet/rank1", console(width=WIDTH), top=10)


def table_of_sweep(text: str) -> RenderableType:
    runs = [SweepRun(text, {text: text}, figures(), seconds=1), SweepRun("b", {text: "1"})]
    return sweep_table(text, runs, console(width=WIDTH))


def table_of_files(text: str) -> RenderableType:
    lock = f"stages:\n  a:\n    outs:\n    - path: {text!r}\n      md5: '0123456789'\n"
    result = ResultFiles(lock, {})
    return files_table((result, result), result)


TABLES = {
    "results": table_of_results,
    "sweep": table_of_sweep,
    "failure": lambda text: outcome(SweepRun("a", {}, error=text)),
    "reproduction": lambda text: reproduction_table(
        Reproduction("0123456789", Path(), [Recurrence(f"{text}/rank1", 0.5, 0.25)], False)
    ),
    "metrics": lambda text: metrics_table(text, {text: figures()}),
    "mistakes": lambda text: mistakes_line({text: figures()}),
    "open set": lambda text: open_set_line({text: figures()}),
    "verification": lambda text: figures_table(
        Judgement([Recurrence(f"{text.replace('/', '')}/rank1", 0.5, 0.25)])
    ),
    "files": table_of_files,
}


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("table", TABLES)
def test_every_table_shows_a_text_as_it_is(table: str, text: str) -> None:
    # The name of a model ends at the first slash.
    expected = text.replace("/", "") if table == "verification" else text
    assert expected in shown(TABLES[table](text))


@pytest.mark.parametrize("table", TABLES)
def test_no_table_obeys_the_control_characters_of_a_text(table: str) -> None:
    lines = shown(TABLES[table]("a\x1b[31mb\x9bc\x07"))
    assert not any(character in lines for character in "\x1b\x9b\x07")


def test_names_of_models_and_cameras_are_shown_as_they_are(tmp_path: Path) -> None:
    name = "[red] :smile:"
    facts = {"queries_with_match": 1, "rank1": 0.5, "mAP": 0.5}
    write_json(paths.cameras_file(tmp_path / name), {name: facts})
    write_json(paths.camera_pairs_file(tmp_path / name), {})
    assert shown(camera_table(tmp_path, [name])).count(name) == 2


def test_all_programs_use_the_console_that_shows_text_as_it_is() -> None:
    found = set()
    for file in (path for folder in CHECKED for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("Console", "from_markup", "rich.print", "get_console")
            ):
                found.add(file.relative_to(ROOT).as_posix())
    assert found == {"reid/terminal.py"}


@pytest.mark.parametrize("text", [*NASTY, "``a` b", "two\nlines", "a \\ b"])
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    markdown = MarkdownIt("gfm-like", {"linkify": False})
    once = " ".join(text.split())
    page = markdown.render(f"| a | b |\n|--|--|\n| {code(text)} | {plain(text)} |\n")
    cells = [cell.partition("</td>")[0] for cell in page.split("<td>")[1:]]
    assert [html.unescape(cell) for cell in cells] == [f"<code>{once}</code>", once]


@pytest.mark.parametrize("text", NASTY)
def test_description_of_a_run_keeps_its_table(text: str) -> None:
    worktree = WorkTree("c0ffee", (text,), {text: (text, "1")})
    page = MarkdownIt("gfm-like", {"linkify": False}).render(
        describe(RunIdentity(Path(), "f", "run", {}), text, worktree, "md5", "id")
    )
    assert page.count("<tr>") == 1 + 5
    assert page.count("<td ") == 2 * 5
    assert html.unescape(page).count(f"<code>{text}</code>") == 4


@pytest.mark.parametrize("text", [*NASTY, "</script>", "<!--<script>"])
def test_pages_show_a_text_as_it_is(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    run = SweepRun(text, {text: text}, figures())
    body = sweep_page("sweep1", [run, SweepRun("b", {text: "1"}, error=text)]).partition("<main>")[
        2
    ]
    assert body.count("<script") == body.count("</script") == 1
    assert f"<td>{html.escape(text)}</td>" in body
    write_data_docs(tmp_path / "docs", text, Report(()))
    page = (tmp_path / "docs" / "index.html").read_text("utf-8")
    assert f"<h1>{html.escape(text)}</h1>" in page
