"""The registered champion answers photos: in Python, over HTTP, as the pipeline embeds them.

Each test has its own copy of one finished project.
"""

import base64
import io
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from PIL import Image

from reid.data.dataset import read_subset
from reid.data.images import decode_all
from reid.inference.engine import load_engine
from tests.support.absent import without
from tests.support.mlflow_server import free_port
from tests.support.places import ROOT
from tests.support.project import Project, assert_one_clear_message
from tests.support.waiting import wait_until

ALONE = ROOT / "tests" / "support" / "served_alone.py"


def versions(project: Project) -> list[ModelVersion]:
    client = MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")
    return sorted(client.search_model_versions("name = 'reid'"), key=lambda v: int(v.version))


def champion(project: Project) -> ModelVersion:
    client = MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")
    return client.get_model_version_by_alias("reid", "champion")


def queries(project: Project) -> list[bytes]:
    dataset = project.root / "build" / "dataset"
    return read_subset(dataset, "query", images=True)["image"].tolist()


def embeddings(project: Project) -> np.ndarray:
    return np.load(project.root / "build" / "features" / "triplet" / "query.npy")


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_first_result_is_registered_as_champion(trained: Project) -> None:
    project = trained
    (version,) = versions(project)
    assert version.tags["decision"] == "promoted"
    assert version.tags["reason"] == "there was no champion"
    (run,) = project.mlflow_runs()
    assert version.run_id == run.info.run_id
    assert version.tags["fingerprint"] == run.data.tags["fingerprint"]
    assert version.tags["data_md5"] == run.data.tags["data_md5"]
    assert champion(project).version == version.version
    measured = json.loads((project.root / "metrics" / "triplet.json").read_text())
    assert version.tags["rank1"] == f"{measured['rank1']:.4f}"
    for part in (
        "### Not for",
        f"{100 * measured['mAP']:.1f}",
        f"{100 * measured['mAP_low']:.1f}-{100 * measured['mAP_high']:.1f}",
        version.tags["data_md5"],
        "8 queries of 4 people",
        "48 training images of 6 people",
        "trained from random weights",
    ):
        assert part in str(version.description)


def test_python_answers_without_the_checkout_as_the_pipeline_embeds(
    trained: Project, tmp_path: Path
) -> None:
    project = trained
    (tmp_path / "photos.json").write_text(json.dumps({"image": list(map(text, queries(project)))}))
    bare = Project(tmp_path)
    store = f"sqlite:///{project.root / 'mlflow.db'}"
    absent = without("keras", "tensorflow")
    output = bare.must("python", str(ALONE), MLFLOW_TRACKING_URI=store, START_COLD="yes", **absent)
    (place,) = (line for line in output.splitlines() if line.startswith("code from"))
    assert "mlartifacts" in place
    answer = np.load(tmp_path / "answer.npy")
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, embeddings(project))


def test_champion_is_exported_for_use_elsewhere(trained: Project, tmp_path: Path) -> None:
    export = ("python", "-m", "reid", "export")
    folder = tmp_path / "handed over"
    trained.must(*export, "models:/reid@champion", str(folder))
    engine = load_engine(folder)
    photos = decode_all(queries(trained), engine.height, engine.width)
    np.testing.assert_array_equal(engine.embed([photos]), embeddings(trained))
    done = trained.run(*export, "models:/reid/99", str(tmp_path / "out"))
    assert_one_clear_message(done, "models:/reid/99 can't be fetched from sqlite")


class Server:
    """A client of a model server."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/ping") as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, **body: Any) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"{self.address}/invocations",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as e:
            return e.code, json.load(e)


def as_png(content: bytes, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(content)).resize(size, Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def test_server_answers_as_python_and_names_bad_photos(trained: Project) -> None:
    project = trained
    port = free_port()
    serve = ("mlflow", "models", "serve", "-m", "models:/reid@champion")
    photos, expected = queries(project), embeddings(project)
    with project.started(*serve, "--env-manager", "local", "--port", str(port)) as process:
        server = Server(port)

        def is_up() -> bool:
            assert process.poll() is None
            return server.is_up()

        wait_until(is_up, pause=0.2)
        status, answer = server.ask(dataframe_records=[{"image": text(p)} for p in photos])
        assert status == 200
        np.testing.assert_allclose(answer["predictions"], expected, atol=1e-5)
        status, answer = server.ask(inputs={"image": [text(photos[3])]})
        assert status == 200
        np.testing.assert_allclose(answer["predictions"], expected[3:4], atol=1e-5)
        # The server takes another format and size, too.
        large = as_png(photos[0], (200, 400))
        status, answer = server.ask(inputs={"image": [text(large)]})
        assert status == 200
        assert np.linalg.norm(answer["predictions"][0]) == pytest.approx(1, abs=1e-5)
        status, answer = server.ask(
            dataframe_records=[{"image": text(photos[0])}, {"image": text(photos[1][:300])}]
        )
        assert status == 400
        assert "image 2 of 2 can't be read" in answer["message"]
        assert "Traceback" not in json.dumps(answer)
        status, answer = server.ask(inputs={"photo": [text(photos[0])]})
        assert status == 400
        assert "Model is missing inputs ['image']" in answer["message"]


def test_temporary_experiment_is_registered_in_the_same_store(project: Project) -> None:
    project.must("dvc", "exp", "run", "--temp", "-S", "lr=0.02")
    first, second = versions(project)
    assert second.run_id == project.mlflow_runs()[-1].info.run_id
    assert second.tags["decision"] in {"promoted", "kept"}
    assert second.tags["compared_with"] == "1"
    assert "over 4 people" in second.tags["reason"]
    assert second.tags["reason"] in str(second.description)
    assert first.tags["protocol"] == second.tags["protocol"]
    now = champion(project).version
    assert now == (second if second.tags["decision"] == "promoted" else first).version


def test_model_is_registered_later_if_the_registry_is_down(project: Project) -> None:
    project.set_params({"evaluate": {"max_rank": 20}})
    with (project.root / "stages" / "compare.py").open("a") as code:
        code.write("# edited\n")
    commit = project.must("git", "rev-parse", "HEAD").strip()
    output = project.must("dvc", "repro", MLFLOW_REGISTRY_URI="http://127.0.0.1:9")
    assert "can't be registered" in output
    assert project.mlflow_runs()[-1].info.status == "FINISHED"
    assert len(versions(project)) == 1
    project.commit()
    project.must("dvc", "repro")
    second = versions(project)[1]
    assert second.run_id == project.mlflow_runs()[-1].info.run_id
    assert second.tags["decision"] == "kept"
    # The run was made before the last commit, from uncommitted changes to the commit before.
    assert f"commit `{commit[:10]}` with uncommitted changes" in str(second.description)
