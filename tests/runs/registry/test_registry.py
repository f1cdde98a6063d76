"""The registry on a real MLflow store: a version a fingerprint, one champion, reasons in words."""

import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from reid.evaluation.ranking_file import RankedQueries, read_ranking, write_ranking
from reid.inference.engine import ENGINE_NEEDS
from reid.protocol.ranking import Ranking
from reid.serving.packaging import SERVED_NEEDS, Package, pinned_requirements
from reid.serving.thresholds import read_thresholds
from runs.one_run_per_result import RunIdentity
from runs.registry.download import network_of
from runs.registry.versions import CHAMPION, REGISTERED, Registry, Submission
from runs.tracking import PipelineResult, Tracker
from tests.support.mlflow_server import free_port, mlflow_server
from tests.support.places import ROOT
from tests.support.project import Project
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.slow

PEOPLE = 40
Elsewhere = Callable[[str, str, int], None]


def ranking(first_right: int, people: int = PEOPLE) -> RankedQueries:
    """Two queries a person; of the first people both are answered right, of the others none."""
    pids = np.repeat(np.arange(people), 2)
    right = pids < first_right
    figures = np.where(right, 1.0, 0.2)
    return RankedQueries(
        names=np.array([f"{row}.jpg" for row in range(len(pids))], dtype=object),
        pids=pids,
        camids=np.ones_like(pids),
        ranking=Ranking(np.where(right, 1.0, 5.0), figures, figures, figures),
    )


def submission(root: Path, first_right: int, protocol: str = "a" * 64) -> Submission:
    """What a result with this ranking submits; the network is a file that nobody opens."""
    network, ranked = root / "network", root / f"{first_right}.parquet"
    network.mkdir(exist_ok=True)
    (network / "network.xml").write_bytes(b"layers")
    (root / "best.keras").write_bytes(b"weights")
    write_ranking(ranked, ranking(first_right))
    return Submission(
        result_digest="result",
        package=Package(
            network=network,
            keras=root / "best.keras",
            ranking=ranked,
            metrics={"threshold_at_1pct": 0.75, "gallery": 900, "queries": 200},
            dimension=1280,
            requirements=pinned_requirements(ROOT, "openvino"),
            card=f"### Card of {first_right}",
        ),
        protocol=protocol,
        data=f"photos of {protocol[0]}",
        data_name="drawn",
        data_md5="123abc",
        figures={"rank1": first_right / PEOPLE, "mAP": 0.5},
        params={"seed": 1, "evaluate": {"resamples": 1000}},
    )


def finished_run(root: Path, fingerprint: str) -> Tracker:
    tracker = Tracker(RunIdentity(root, fingerprint, f"run of {fingerprint}", {}))
    figures = {"rank1": 0.5, "mAP": 0.5}
    result = PipelineResult(
        digest="result",
        params={"seed": 1},
        metrics={"triplet": figures, "baseline": figures},
        histories={},
        cmc={},
        data=pd.DataFrame({"pid": [1, 2]}),
        data_name="drawn",
        data_md5="123abc",
    )
    tracker.complete(result)
    return tracker


def settle(root: Path, fingerprint: str, first_right: int, protocol: str = "a" * 64) -> None:
    registry = Registry(finished_run(root, fingerprint), root, fingerprint)
    if not registry.is_settled():
        registry.settle(submission(root, first_right, protocol))
    assert registry.is_settled()


class Store:
    """A new store in a temporary folder, and what is in it."""

    def __init__(self, root: Path, uri: str = "") -> None:
        self.root = root
        self.client = MlflowClient(uri or f"sqlite:///{root / 'mlflow.db'}")

    def settle(self, fingerprint: str, first_right: int, protocol: str = "a" * 64) -> ModelVersion:
        settle(self.root, fingerprint, first_right, protocol)
        (version,) = (v for v in self.versions() if v.tags.get("fingerprint") == fingerprint)
        return version

    def versions(self) -> list[ModelVersion]:
        found = self.client.search_model_versions(f"name = '{REGISTERED}'")
        return sorted(found, key=lambda version: int(version.version))

    @property
    def champion(self) -> str:
        return self.client.get_model_version_by_alias(REGISTERED, CHAMPION).version

    def run_of(self, version: ModelVersion) -> Run:
        assert version.run_id is not None
        return self.client.get_run(version.run_id)

    def folder(self, version: ModelVersion) -> Path:
        uri = self.client.get_model_version_download_uri(REGISTERED, str(version.version))
        return Path(download_artifacts(uri))


@pytest.fixture
def store(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # Where a client asks the process's own store instead of the one it was given, it finds nothing.
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "project"
    root.mkdir()
    shutil.copyfile(empty_store, root / "mlflow.db")
    return Store(root)


class TestVersion:
    def test_holds_all_that_a_reader_and_a_server_need(self, store: Store) -> None:
        version = store.settle("f1", 20)
        assert version.description == (
            "Promoted to champion, because there was no champion.\n\n### Card of 20"
        )
        assert version.tags.items() >= {
            ("data_md5", "123abc"),
            ("rank1", "0.5000"),
            ("decision", "promoted"),
            ("reason", "there was no champion"),
        }
        model = Model.load(str(store.folder(version)))
        assert [(c.name, c.type.name) for c in model.signature.inputs] == [("image", "string")]
        (output,) = model.signature.outputs
        assert (output.shape, output.type) == ((-1, 1280), np.float32)
        example = model.load_input_example(str(store.folder(version)))
        assert isinstance(example, pd.DataFrame)
        assert len(example["image"]) == 1
        folder = store.folder(version)
        assert (folder / "README.md").read_text() == "### Card of 20"
        assert (folder / "artifacts" / "best.keras").read_bytes() == b"weights"
        assert (folder / "artifacts" / "network" / "network.xml").read_bytes() == b"layers"
        assert not list(folder.rglob("__pycache__"))
        assert read_thresholds(folder / "thresholds.json") == {0.01: 0.75}
        kept = read_ranking(folder / "ranking.parquet")
        np.testing.assert_array_equal(kept.ranking.first_rank, ranking(20).ranking.first_rank)
        pins = (folder / "requirements.txt").read_text().split("\n")
        assert set(pins) <= set((ROOT / "requirements.txt").read_text().split("\n"))
        assert {pin.partition("==")[0] for pin in pins} == {
            *SERVED_NEEDS,
            *ENGINE_NEEDS["openvino"],
        }

    def test_is_downloaded_with_its_network_and_thresholds(
        self, store: Store, tmp_path: Path
    ) -> None:
        store.settle("f1", 20)
        fetched = network_of("models:/reid@champion", store.root, tmp_path / "fetched")
        assert (fetched.folder / "network.xml").read_bytes() == b"layers"
        assert read_thresholds(fetched.thresholds) == {0.01: 0.75}
        assert fetched.address == "models:/reid/1"

    def test_belongs_to_its_run_and_the_logged_model_knows_it(self, store: Store) -> None:
        version = store.settle("f1", 20)
        run = store.run_of(version)
        assert run.data.tags["fingerprint"] == "f1"
        assert run.outputs is not None
        (output,) = run.outputs.model_outputs
        logged = store.client.get_logged_model(output.model_id)
        assert logged.metrics is not None
        assert version.source == f"models:/{logged.model_id}"
        # The run has the baseline's figures, too.
        assert {m.key: m.value for m in logged.metrics} == {
            "triplet/rank1": 0.5,
            "triplet/mAP": 0.5,
        }
        assert {(m.dataset_name, m.dataset_digest) for m in logged.metrics} == {("drawn", "123abc")}
        (known,) = json.loads(logged.tags["mlflow.modelVersions"])
        assert known == {"name": REGISTERED, "version": 1}
        # The run's own history holds each figure once, as before.
        assert len(store.client.get_metric_history(run.info.run_id, "triplet/rank1")) == 1

    def test_is_the_only_one_of_its_fingerprint(self, store: Store) -> None:
        for _ in range(3):
            store.settle("f1", 20)
        assert len(store.versions()) == 1
        store.settle("f2", 20)
        assert len(store.versions()) == 2

    def test_is_not_made_of_another_result_than_its_run_holds(self, store: Store) -> None:
        tracker = finished_run(store.root, "f1")
        registry = Registry(tracker, store.root, "f1")
        registry.settle(replace(submission(store.root, 20), result_digest="of another processor"))
        assert store.versions() == []

    def test_is_not_judged_by_another_result_than_its_run_holds(self, store: Store) -> None:
        store.settle("f1", 20)
        other = store.settle("f2", 10, protocol="b" * 64)
        store.settle("f3", 5, protocol="b" * 64)
        store.client.set_registered_model_alias(REGISTERED, CHAMPION, "3")
        # Now it can be compared, and there it would be better.
        registry = Registry(finished_run(store.root, "f2"), store.root, "f2")
        elsewhere = submission(store.root, 30, protocol="b" * 64)
        registry.settle(replace(elsewhere, result_digest="of another processor"))
        left = store.client.get_model_version(REGISTERED, other.version)
        assert (left.tags, left.description) == (other.tags, other.description)
        assert store.champion == 3

    def test_that_failed_half_way_is_made_whole_later(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise OSError("disk full")

        for method in ("log_model_artifacts", "create_model_version", "set_model_version_tag"):
            with monkeypatch.context() as patched:
                patched.setattr(MlflowClient, method, fail)
                with pytest.raises(OSError, match="disk full"):
                    settle(store.root, "f1", 20)
        version = store.settle("f1", 20)
        assert version.tags["decision"] == "promoted"
        assert len(store.versions()) == 1
        experiment = store.run_of(version).info.experiment_id
        assert len(store.client.search_logged_models([experiment])) == 1
        assert store.champion == version.version

    @pytest.mark.parametrize("end", [MlflowException("connection refused"), SystemExit("killed")])
    def test_that_was_killed_or_lost_its_server_leaves_no_half_of_a_model(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, end: BaseException
    ) -> None:
        def stop(*_: Any, **__: Any) -> None:
            raise end

        with monkeypatch.context() as patched:
            for method in ("log_model_artifacts", "finalize_logged_model"):
                patched.setattr(MlflowClient, method, stop)
            with pytest.raises(type(end), match=r"refused|killed"):
                settle(store.root, "f1", 20)
        run = finished_run(store.root, "f1").run
        (half,) = store.client.search_logged_models([run.info.experiment_id])
        assert half.status != LoggedModelStatus.READY
        version = store.settle("f1", 20)
        experiment = store.run_of(version).info.experiment_id
        (logged,) = store.client.search_logged_models([experiment])
        assert version.source == f"models:/{logged.model_id}"


class TestChampion:
    def test_is_followed_by_a_better_one_only(self, store: Store) -> None:
        store.settle("f1", 20)
        worse = store.settle("f2", 10)
        assert store.champion == 1
        assert worse.tags["decision"] == "kept"
        assert "rank-1 and mAP are worse: rank-1 -25.0 points" in worse.tags["reason"]
        assert worse.tags["compared_with"] == "1"
        no_better = store.settle("f3", 21)
        assert store.champion == 1
        assert no_better.tags["decision"] == "kept"
        better = store.settle("f4", 32)
        assert store.champion == better.version == 4
        assert better.tags["decision"] == "promoted"
        assert "rank-1 +30.0 points" in better.tags["reason"]
        assert f"Promoted to champion, because {better.tags['reason']}" in str(better.description)
        assert "The champion was kept, because rank-1 and mAP" in str(worse.description)
        assert store.settle("f5", 20).tags["compared_with"] == "4"

    def test_whose_promotion_was_cut_off_keeps_its_reason(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(client: MlflowClient, *arguments: Any) -> None:
            move(client, *arguments)
            raise KeyboardInterrupt

        store.settle("f1", 10)
        move = MlflowClient.set_registered_model_alias
        with monkeypatch.context() as patched:
            patched.setattr(MlflowClient, "set_registered_model_alias", killed)
            with pytest.raises(KeyboardInterrupt):
                settle(store.root, "f2", 38)
        assert store.champion == 2
        promoted = store.settle("f2", 38)
        assert promoted.tags["decision"] == "promoted"
        assert promoted.tags["compared_with"] == "1"
        assert "rank-1 +70.0 points" in promoted.tags["reason"]
        reason = f"Promoted to champion, because {promoted.tags['reason']}"
        assert reason in str(promoted.description)

    def test_stays_where_the_data_are_others_until_a_person_moves_it(self, store: Store) -> None:
        store.settle("f1", 20)
        first = store.settle("f2", 30, protocol="b" * 64)
        second = store.settle("f3", 10, protocol="b" * 64)
        assert store.champion == 1
        for version in (first, second):
            assert version.tags["decision"] == "kept"
            assert (
                "measured on another test (photos of a; this one on photos of b)"
                in (version.tags["reason"])
            )
        store.client.set_registered_model_alias(REGISTERED, CHAMPION, str(first.version))
        # Now that it can be compared, the next `dvc repro` of that result does so.
        second = store.settle("f3", 10, protocol="b" * 64)
        assert second.tags["compared_with"] == "2"
        assert "not_compared_with" not in second.tags
        assert "are worse" in second.tags["reason"]
        assert store.champion == first.version
        assert store.settle("f4", 38, protocol="b" * 64).version == store.champion
        assert len(store.versions()) == 4

    def test_named_by_hand_is_left_as_it_is(self, store: Store) -> None:
        store.settle("f1", 20)
        other = store.settle("f2", 30, protocol="b" * 64)
        store.client.set_registered_model_alias(REGISTERED, CHAMPION, str(other.version))
        assert store.settle("f2", 30, protocol="b" * 64).tags["decision"] == "promoted"
        assert store.champion == other.version

    def test_registered_by_somebody_else_is_respected(self, store: Store) -> None:
        store.client.create_registered_model(REGISTERED, description="ours")
        theirs = store.client.create_model_version(REGISTERED, source="file:///elsewhere")
        store.client.set_registered_model_alias(REGISTERED, CHAMPION, theirs.version)
        version = store.settle("f1", 20)
        assert version.tags["decision"] == "kept"
        assert "unknown data" in version.tags["reason"]
        assert store.champion == theirs.version
        assert store.client.get_registered_model(REGISTERED).description == "ours"

    def test_whose_ranking_is_gone_stays(self, store: Store) -> None:
        first = store.settle("f1", 20)
        (store.folder(first) / "ranking.parquet").unlink()
        second = store.settle("f2", 39)
        assert second.tags["decision"] == "kept"
        assert "can't be read" in second.tags["reason"]
        assert store.champion == first.version

    def test_whose_ranking_is_damaged_stays(self, store: Store) -> None:
        first = store.settle("f1", 20)
        (store.folder(first) / "ranking.parquet").write_bytes(b"torn")
        second = store.settle("f2", 39)
        assert "can't be read" in second.tags["reason"]
        assert store.champion == first.version

    @pytest.mark.parametrize("request_", ["list_artifacts", "download_artifacts"])
    def test_whose_ranking_is_out_of_reach_once_is_compared_later(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, request_: str
    ) -> None:
        def time_out(*_: Any, **__: Any) -> None:
            raise OSError("read timed out")

        store.settle("f1", 10)
        with monkeypatch.context() as patched:
            patched.setattr(f"mlflow.artifacts.{request_}", time_out)
            with pytest.raises(OSError, match="timed out"):
                settle(store.root, "f2", 38)
        better = store.settle("f2", 38)
        assert better.tags["decision"] == "promoted"
        assert store.champion == better.version

    def test_that_can_not_be_compared_stays_until_another_is_named(self, store: Store) -> None:
        first = store.settle("f1", 20)
        write_ranking(store.folder(first) / "ranking.parquet", ranking(20, people=PEOPLE - 1))
        second = store.settle("f2", 39)
        third = store.settle("f3", 30)
        for version in (second, third):
            assert "can't be compared with champion version 1" in version.tags["reason"]
        assert store.champion == first.version
        store.client.set_registered_model_alias(REGISTERED, CHAMPION, str(third.version))
        assert store.settle("f2", 39).tags["compared_with"] == "3"
        assert store.champion == second.version


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder of its artifacts."""
    project = Project(tmp_path_factory.mktemp("server") / "project")
    project.root.mkdir()
    with mlflow_server(project, free_port()) as address:
        yield address, project.root.parent / "server-artifacts"


@pytest.fixture
def shared(
    server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """The server's store with nothing in it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server[0])
    store = Store(tmp_path, server[0])
    yield store
    store.client.delete_registered_model(REGISTERED)
    experiment = store.client.get_experiment_by_name("reid")
    assert experiment is not None
    for run in store.client.search_runs([experiment.experiment_id]):
        store.client.delete_run(run.info.run_id)


class TestServer:
    """Machines that share one don't wait at each other's lock."""

    @pytest.fixture
    def elsewhere(self, shared: Store, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
        """Have another machine settle a result before the next call of a method of the client."""

        def before(method: str, fingerprint: str, first_right: int) -> None:
            original = getattr(MlflowClient, method)

            def late(*arguments: Any, **named: Any) -> Any:
                monkeypatch.setattr(MlflowClient, method, original)
                there = shared.root / "elsewhere"
                there.mkdir()
                settle(there, fingerprint, first_right)
                return original(*arguments, **named)

            monkeypatch.setattr(MlflowClient, method, late)

        return before

    def test_same_result_registered_elsewhere_has_one_version(
        self, shared: Store, elsewhere: Elsewhere
    ) -> None:
        elsewhere("create_model_version", "f1", 20)
        version = shared.settle("f1", 20)
        assert shared.champion == version.version == "1"
        assert version.tags["decision"] == "promoted"
        assert version.tags["reason"] == "there was no champion"

    def test_better_version_promoted_elsewhere_is_judged_against(
        self, shared: Store, elsewhere: Elsewhere
    ) -> None:
        shared.settle("f1", 10)
        # The better one than the first has been decided on, but not promoted.
        elsewhere("set_model_version_tag", "f3", 35)
        middling = shared.settle("f2", 20)
        assert middling.tags["decision"] == "kept"
        assert middling.tags["compared_with"] == shared.champion == "3"

    def test_alias_moved_elsewhere_at_the_same_time_is_judged_against(
        self, shared: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        move = MlflowClient.set_registered_model_alias

        def overtaken(client: MlflowClient, name: str, alias: str, _: str) -> None:
            monkeypatch.setattr(MlflowClient, "set_registered_model_alias", move)
            move(client, name, alias, "2")

        shared.settle("f1", 20)
        shared.settle("f2", 21)
        monkeypatch.setattr(MlflowClient, "set_registered_model_alias", overtaken)
        best = shared.settle("f3", 35)
        assert best.tags["decision"] == "promoted"
        assert best.tags["compared_with"] == "2"
        assert shared.champion == best.version

    def test_ranking_that_is_gone_from_its_artifacts_is_known_to_be(
        self, shared: Store, server: tuple[str, Path]
    ) -> None:
        shared.settle("f1", 20)
        for file in server[1].rglob("ranking.parquet"):
            file.unlink()
        second = shared.settle("f2", 39)
        assert second.tags["not_compared_with"] == "1"
        assert "can't be read" in second.tags["reason"]


def in_processes(work: Callable[..., None], arguments: list[tuple[Any, ...]]) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=each) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def test_workers_of_a_queue_at_once_make_one_version_each(store: Store) -> None:
    """Three processes, two of them with the same result, in a store that isn't there yet."""
    (store.root / "mlflow.db").unlink()
    results = [("f1", 10), ("f1", 10), ("f2", 30)]
    in_processes(settle, [(store.root, *result) for result in results])
    assert sorted(v.tags["fingerprint"] for v in store.versions()) == ["f1", "f2"]
    # Whatever the order was, the better one has taken the place.
    (best,) = (v for v in store.versions() if v.tags["fingerprint"] == "f2")
    assert store.champion == best.version
