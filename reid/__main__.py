"""The command line: ``python -m reid``."""

import json
import logging
import sys
import webbrowser
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from reid.common.errors import UserError
from reid.data import paths
from reid.data.dataset import read_columns, read_source
from reid.data.market import person_name
from reid.data.protocols import CROSS_CAMERA, Protocol
from reid.evaluation.reranking_method import RerankingMethod
from reid.inference.engine import EngineName, load_engine, require_writers
from reid.terminal import console
from search.commands import index, serve

if TYPE_CHECKING:
    from PIL import Image

CHECKED = 64
"""The gallery photos that an exported network is checked with."""

app = typer.Typer(
    help="Person re-identification: score features, search with a photo, show results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="An .npz file with qf, gf, q_pids, ...")],
    rerank: Annotated[
        RerankingMethod | None,
        typer.Option(help="How to re-rank. Only k_reciprocal uses the other queries."),
    ] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(help="any_camera: gallery rows of the query's own camera are answers, too."),
    ] = CROSS_CAMERA,
    no_distractors: Annotated[
        bool, typer.Option("--no-distractors", help="Pid 0 is a person, not a distractor.")
    ] = False,
) -> None:
    """Score any model's features by the single-query protocol; print JSON.

    The file holds qf (queries, d), gf (gallery, d), q_pids, g_pids, q_camids, g_camids.
    """
    from reid.evaluation.feature_file import read_feature_file  # noqa: PLC0415
    from reid.evaluation.reranking import Reranking  # noqa: PLC0415
    from reid.protocol.ranking import dot_products, rank_queries, summarise  # noqa: PLC0415

    query, gallery = read_feature_file(file, distractors=not no_distractors)
    reranking = Reranking(method=rerank) if rerank else None
    similarities = reranking.similarities if reranking else dot_products
    ranking = rank_queries(query, gallery, similarities=similarities, protocol=protocol)
    figures = asdict(summarise(ranking, gallery.pids))
    if protocol != CROSS_CAMERA:
        figures["protocol"] = protocol
    if reranking:
        figures["reranking"] = reranking.model_dump()
    print(json.dumps(figures, indent=2))  # noqa: T201


@app.command()
def search(
    photo: Annotated[Path, typer.Argument(help="A photo of one person, cut out.")],
    top: Annotated[int, typer.Option(min=1, help="How many people to show.")] = 10,
    model: Annotated[str, typer.Option(help="baseline or triplet.")] = "triplet",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write the answers as a picture.")] = None,
) -> None:
    """Find the people of the gallery who look most like a photo of your own."""
    from reid.data.images import decode_all  # noqa: PLC0415
    from reid.serving.search import (  # noqa: PLC0415
        nearest_people,
        picture_of_search,
        read_gallery_features,
        read_photo,
    )

    content = read_photo(photo)
    gallery = read_gallery_features(paths.features_folder(model), paths.DATASET)
    engine = load_engine(gallery.network, cache=paths.TEMPORARY / "engines")
    (embedding,) = engine.embed([decode_all([content], engine.height, engine.width)])
    rows = read_columns(paths.DATASET, "gallery", ("pid", "camid", "name"))
    answers = nearest_people(embedding, gallery.embeddings, rows, top)
    if picture:
        _save_picture(picture_of_search(photo.name, content, paths.DATASET, answers), picture)
    if as_json:
        shown = [{k: v for k, v in asdict(answer).items() if k != "row"} for answer in answers]
        print(json.dumps(shown, indent=2))  # noqa: T201
    elif not picture:
        table = Table(title=Text(f"Most like {photo}"))
        for heading in ("rank", "person", "camera"):
            table.add_column(heading)
        table.add_column("file", overflow="fold")
        table.add_column("similarity", no_wrap=True)
        for rank, answer in enumerate(answers, 1):
            table.add_row(
                str(rank),
                person_name(answer.person),
                str(answer.camera),
                Text(answer.file),
                f"{answer.similarity:.3f}",
            )
        console().print(table)


def _save_picture(image: "Image.Image", path: Path) -> None:
    from PIL import Image  # noqa: PLC0415

    from reid.common.files import replacing_file  # noqa: PLC0415

    image_format = Image.registered_extensions().get(path.suffix.lower())
    if image_format not in Image.SAVE:
        raise UserError(f"{path}: no picture format has this name. Use .png or .jpg.")
    with replacing_file(path) as part:
        image.save(part, format=image_format)
    typer.echo(f"wrote {path}", err=True)


@app.command()
def draw(
    destination: Annotated[Path, typer.Argument(help="The .zip file to write.")],
    names: Annotated[
        Path | None,
        typer.Option(help="A text file of names to draw, one folder/name.jpg per line."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other people.")] = 1501,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw.")] = 2,
) -> None:
    """Draw the sample data set: synthetic pedestrians without any real person."""
    from sample.dataset import write_dataset, write_sample  # noqa: PLC0415

    if names is None:
        write_sample(destination, seed, workers=workers)
        return
    try:
        paths = names.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{names} can't be read as a list of names: {e}") from e
    write_dataset(paths, destination, seed, destination.stem, workers)


@app.command()
def compare(
    which: Annotated[
        list[str] | None,
        typer.Argument(help="Only these: names, or the beginnings of run ids.", show_default=False),
    ] = None,
    sort: Annotated[str, typer.Option(help="Metric to sort by.")] = "triplet/rank1",
    top: Annotated[int, typer.Option(min=1, help="How many results to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
    in_browser: Annotated[
        bool, typer.Option("--open", help="Open MLflow's comparison of them.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            envvar="MLFLOW_PORT",
            min=1,
            max=65535,
            help="The port of `make ui`, for --open. Default: that of the last `make ui`.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show DVC experiments and MLflow runs side by side, one row per result."""
    from experiments.results_table import results_table, sorted_by  # noqa: PLC0415
    from experiments.selection import comparison_page, gathered, is_served  # noqa: PLC0415

    results = sorted_by(gathered(which or []), sort)
    if as_json:
        print(json.dumps([asdict(result) for result in results], indent=2))  # noqa: T201
    else:
        terminal = console()
        terminal.print(results_table(results, sort, terminal, top))
        if len(results) > top:
            terminal.print(f"{len(results) - top} more: --top {len(results)} shows all.")
    if in_browser:
        from runs.project import project_root  # noqa: PLC0415
        from runs.ui import PORT, noted_port  # noqa: PLC0415

        chosen = results if which else [result for result in results[:top] if result.run_id]
        port = port or noted_port(project_root())
        page = comparison_page(chosen, port)
        typer.echo(page, err=True)
        if not is_served(page):
            command = "make ui" if port == PORT else f"make ui PORT={port}"
            typer.echo(f"MLflow does not run there: run `{command}`, then open this page", err=True)
        elif not webbrowser.open(page):
            typer.echo("no browser was found: open this page in one", err=True)


@app.command()
def ui(
    port: Annotated[
        int, typer.Option(envvar="MLFLOW_PORT", min=1, max=65535, help="The port of the pages.")
    ] = 5000,
) -> None:
    """Show the runs in MLflow: parameters, loss curves, figures."""
    from runs.project import project_root  # noqa: PLC0415
    from runs.ui import server_of_runs, show_runs  # noqa: PLC0415

    root = project_root()
    if server := server_of_runs(root):
        typer.echo(f"The runs are on a server: open {server}")
    else:
        show_runs(root, port)


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(help="A .keras file, or a registered model: models:/reid@champion.")
    ],
    destination: Annotated[Path, typer.Argument(help="A new folder.")],
    engine: Annotated[EngineName, typer.Option("--format", help="What will run it.")] = "openvino",
    flip: Annotated[
        bool, typer.Option(help="Embed the mirror image, too, at twice the time.")
    ] = True,
    int8: Annotated[
        bool, typer.Option("--int8", help="8-bit integers, a third of the size; OpenVINO only.")
    ] = False,
) -> None:
    """Write a trained network as a folder to hand over: the network, an example, a README."""
    from reid.model.backend_choice import choose  # noqa: PLC0415

    require_writers(engine)
    if int8:
        from reid.inference.int8 import calibration_photos, require_quantiser  # noqa: PLC0415

        if engine != "openvino":
            raise UserError("--int8 works with --format openvino only.")
        require_quantiser()
    choose("tensorflow")
    from reid.inference.bundle import write_bundle  # noqa: PLC0415
    from runs.project import project_root  # noqa: PLC0415
    from runs.registry.download import SCHEME, keras_file_of  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        weights = (
            keras_file_of(model, project_root(), Path(folder))
            if model.startswith(SCHEME)
            else Path(model)
        )
        photos = read_columns(paths.DATASET, "gallery", ("image",))["image"][:CHECKED]
        calibration = calibration_photos(paths.DATASET) if int8 else []
        comparison = write_bundle(weights, engine, flip, photos, destination, calibration)
    on = f"{len(photos)} gallery photos"
    typer.echo(f"wrote {destination}; compared with Keras on {on}: {comparison}")


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(help="A run's id, the beginning of its id, or a name.")],
    folder: Annotated[
        Path | None,
        typer.Argument(help="A new folder. Default: next to the project.", show_default=False),
    ] = None,
) -> None:
    """Restore the state that a run came from, run the pipeline again, and compare the figures.

    This works in a new folder: your checkout and its tracking store stay as they are.
    """
    from experiments.reproduction import (  # noqa: PLC0415
        default_folder,
        reproduce,
        reproduction_table,
    )
    from experiments.selection import run_of  # noqa: PLC0415
    from runs.project import project_root  # noqa: PLC0415
    from runs.run_store import RunStore  # noqa: PLC0415

    root = project_root()
    store = RunStore(root)
    found = run_of(root, store, run)
    destination = folder or default_folder(root, found)
    typer.echo(f"run {found.info.run_id} ({found.info.run_name}) into {destination}", err=True)
    done = reproduce(root, store, found, destination)
    console().print(reproduction_table(done))
    if not done.is_reproduced:
        raise UserError(f"the run was not reproduced; {done.folder} holds the new result.")


@app.command()
def report() -> None:
    """Show the figures of both models and where to look next."""
    from reid.report import (  # noqa: PLC0415
        camera_table,
        difference_line,
        metrics_table,
        mistakes_line,
        open_set_line,
        read_difference,
        read_metrics,
    )

    terminal = console()
    metrics = read_metrics(paths.METRICS)
    terminal.print(metrics_table(read_source(paths.DATASET)["name"], metrics))
    terminal.print(difference_line(read_difference(paths.METRICS)))
    terminal.print(mistakes_line(metrics))
    if line := open_set_line(metrics):
        terminal.print(line)
    terminal.print(camera_table(paths.PLOTS, metrics))
    terminal.print(
        "Look next at\n"
        "  dvc plots show                   all plots on one page\n"
        "  plots/triplet/answers.png        queries and their first ten answers\n"
        "  build/data_docs/index.html       what the validation found in the data\n"
        "  make ui                          runs, parameters and loss curves in MLflow\n"
        "  dvc exp run -S lr=0.02           a second result; see python -m reid compare\n"
        "  python -m reid search PHOTO      a photo of your own against the gallery"
    )


app.add_typer(index, name="index")
app.command()(serve)


def main() -> None:
    """Run the command line; an error that a user can mend is one message and exit status 1."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    try:
        app()
    except UserError as e:
        sys.exit(f"error: {e}")
    except OSError as e:
        sys.exit(f"error: {e.filename or 'a file'} can't be used: {e.strerror}")


if __name__ == "__main__":
    main()
