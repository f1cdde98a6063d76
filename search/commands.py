"""The commands ``python -m reid index ...`` and ``python -m reid serve``."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from reid.common.errors import UserError, listed
from reid.data import paths
from reid.data.market import MARKET_NAMES
from reid.terminal import console
from search.networks import CHAMPION
from search.records import LARGEST_CAMERA

if TYPE_CHECKING:
    from search.enrolment import Counts
    from search.tool import SearchTool

HOST, PORT = "127.0.0.1", 8000
LONG_LIST = 10

index = typer.Typer(
    help="The index of photos that the search tool answers from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

MODEL_HELP = "A registered model, or a folder that `python -m reid export` wrote."
ModelArgument = Annotated[str, typer.Argument(help=MODEL_HELP)]


def _tool() -> "SearchTool":
    from search.tool import open_tool  # noqa: PLC0415

    return open_tool()


def _say(counts: "Counts") -> None:
    known = f", there already: {counts.known:,}" if counts.known else ""
    typer.echo(f"photos added: {counts.added:,}{known}")


@index.command()
def build(
    model: Annotated[
        str, typer.Argument(help=f"{MODEL_HELP} Default: the index's own, or the champion.")
    ] = "",
) -> None:
    """Make the index from the pipeline's gallery. Run it again to resume."""
    from search.enrolment import add_entries, gallery_entries  # noqa: PLC0415

    tool = _tool()
    if model or not tool.index.models():
        _begin(tool, model or CHAMPION)
    _say(add_entries(tool.index, tool.networks, *gallery_entries(paths.DATASET)))


def _begin(tool: "SearchTool", model: str) -> None:
    """Give the index its first model.

    Raises:
        UserError: the index uses another one already.
    """
    network = tool.networks.install(model)
    models = tool.index.models()
    if models and network.model.sha256 not in {known.sha256 for known in models}:
        raise UserError(
            f"the index was built with {models[0].name}, and {model} is another model. "
            f"`python -m reid index rebuild {model}` embeds all photos anew."
        )
    tool.index.begin_model(network.model)


@index.command()
def add(
    folder: Annotated[Path, typer.Argument(help="A folder of JPEG or PNG files.")],
    person: Annotated[
        str | None, typer.Option(help="The person on all of these photos.", show_default=False)
    ] = None,
    camera: Annotated[
        int | None,
        typer.Option(
            min=0, max=LARGEST_CAMERA, help="The camera of all of these photos.", show_default=False
        ),
    ] = None,
    names: Annotated[
        str,
        typer.Option(help="How file names give person and camera, as in ingest.names."),
    ] = MARKET_NAMES,
    time: Annotated[
        datetime | None,
        typer.Option(help="When all of these photos were taken, UTC.", show_default=False),
    ] = None,
    model: Annotated[str, typer.Option(help="The model, if this begins a new index.")] = CHAMPION,
) -> None:
    """Add photos of your own. Photos that are there already are left; run it again to resume."""
    from search.enrolment import add_entries, checked_name, folder_entries  # noqa: PLC0415

    name = checked_name(person) if person is not None else None
    taken = time.replace(tzinfo=UTC).timestamp() if time else None
    entries = folder_entries(folder, names, name, camera, taken)
    tool = _tool()
    if not tool.index.models():
        _begin(tool, model)
    _say(add_entries(tool.index, tool.networks, entries, len(entries)))


@index.command()
def forget(
    person: Annotated[str, typer.Argument(help="The name, as `index info` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a person: name, photos, embeddings, judgements. This can't be undone."""
    tool = _tool()
    photos = len(tool.index.sightings([person]))
    if not photos:
        raise UserError(f"the index has nobody called {person}. See `python -m reid index info`.")
    if not yes:
        typer.confirm(f"Delete {person} and {photos:,} photos for ever?", abort=True)
    typer.echo(f"photos deleted: {tool.index.forget(person):,}")


@index.command()
def info(
    everybody: Annotated[bool, typer.Option("--all", help="List all people.")] = False,
) -> None:
    """Show what the index holds."""
    tool = _tool()
    people = tool.index.people()
    typer.echo(f"{tool.index.size():,} photos, {len(people):,} named people")
    for number, model in enumerate(tool.index.models()):
        use = "current model" if number == 0 else "to compare"
        typer.echo(f"{use}: {model.name} ({model.sha256[:12]}, {model.dimension} numbers)")
    shown = people if everybody else people[:LONG_LIST]
    if shown:
        table = Table()
        table.add_column("person", overflow="fold")
        table.add_column("photos", justify="right")
        table.add_column("cameras", overflow="fold")
        for person in shown:
            cameras = listed([str(camera) for camera in person.cameras])
            table.add_row(Text(person.name), f"{person.photos:,}", cameras)
        console().print(table)
    if len(people) > len(shown):
        typer.echo(f"{len(people) - len(shown):,} more: --all lists everybody")


@index.command()
def rebuild(model: ModelArgument = CHAMPION) -> None:
    """Embed all photos with another model. The old one answers until that is done."""
    _embed(model, switch=True)


@index.command()
def compare(model: ModelArgument) -> None:
    """Embed all photos with a second model, too, to compare the two on the page."""
    _embed(model, switch=False)


def _embed(address: str, switch: bool) -> None:
    from search.enrolment import embed_with  # noqa: PLC0415

    tool = _tool()
    tool.index.current_model()
    model = tool.networks.install(address).model
    embed_with(tool.index, tool.networks, model, switch)
    typer.echo(f"{model.name} {'answers now' if switch else 'can be compared on the page'}")


@index.command()
def install(model: ModelArgument) -> None:
    """Copy a network here, for an index on a server that another machine built."""
    typer.echo(f"installed {_tool().networks.install(model).model.name}")


@index.command()
def judgements(
    file: Annotated[Path, typer.Argument(help="The parquet file to write.")],
) -> None:
    """Write what people said about answers, with both photos, for training or measuring."""
    from search.judgements import write_judgements  # noqa: PLC0415

    typer.echo(f"judgements written to {file}: {write_judgements(_tool().index, file):,}")


@index.command()
def expire(
    older_than: Annotated[str, typer.Option(help="An age in days: 30d.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete photos taken, and judgements given, longer ago. This can't be undone."""
    days = older_than.removesuffix("d")
    if not re.fullmatch(r"[0-9]{1,6}", days):
        raise UserError(f"--older-than {older_than}: give a number of days, such as 30d.")
    if not yes:
        typer.confirm(f"Delete all photos older than {days} days for ever?", abort=True)
    before = datetime.now(UTC).timestamp() - int(days) * 24 * 3600
    typer.echo(f"photos deleted: {_tool().index.expire(before):,}")


def serve(
    host: Annotated[
        str, typer.Option(help="The address. Others than this machine need keys.")
    ] = HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = PORT,
) -> None:
    """Serve the page and the HTTP API."""
    from search.service.server import run  # noqa: PLC0415

    run(_tool(), host, port)
