"""A teacher's embeddings of the training images."""

from pathlib import Path

import numpy as np
import pytest

from reid.common.errors import UserError
from reid.data.dataset import decoded_batches
from reid.data.paths import subset_file
from reid.model.backend import keras
from reid.model.network import embedder, save_network
from reid.preparation.ingest import ingest
from reid.sources.source import open_source
from reid.training import teacher
from reid.training.teacher import teacher_embeddings
from tests.support.photos import layout, write_folder
from tests.support.small_training import HEIGHT, TINY, WIDTH, network


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    with open_source(write_folder(layout(train_people=5), tmp_path / "data")) as source:
        ingest(source, tmp_path / "dataset", "bounding_box_test")
    return tmp_path / "dataset"


def test_teacher_embeds_all_images_with_their_mirror_images(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(TINY.model_copy(update={"height": 48}))
    save_network(model, tmp_path / "teacher.keras")
    monkeypatch.setattr(teacher, "BATCH_SIZE", 3)
    known = teacher_embeddings(tmp_path / "teacher.keras", dataset, tmp_path / "kept.npy")
    (images,) = decoded_batches(subset_file(dataset, "train"), 10_000, 48, WIDTH)
    plain, mirrored = (embedder(model).predict(i, verbose=0) for i in (images, images[:, :, ::-1]))
    expected = (plain + mirrored) / np.linalg.norm(plain + mirrored, axis=1, keepdims=True)
    assert known == pytest.approx(expected, abs=1e-5)


def test_what_an_interrupted_training_has_computed_is_taken(dataset: Path, tmp_path: Path) -> None:
    file, kept = tmp_path / "teacher.keras", tmp_path / "kept.npy"
    save_network(network(TINY), file)
    first = teacher_embeddings(file, dataset, kept)
    np.save(kept, 2 * first)
    np.testing.assert_array_equal(teacher_embeddings(file, dataset, kept), 2 * first)


def test_network_without_embeddings_is_no_teacher(dataset: Path, tmp_path: Path) -> None:
    image = keras.Input((HEIGHT, WIDTH, 3))
    other = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    save_network(other, tmp_path / "other.keras")
    with pytest.raises(UserError, match="is not a network that this project has trained"):
        teacher_embeddings(tmp_path / "other.keras", dataset, tmp_path / "kept.npy")


def test_file_that_is_no_network_is_no_teacher(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no network")
    with pytest.raises(UserError, match="is not a network that this project has trained"):
        teacher_embeddings(tmp_path / "text.keras", dataset, tmp_path / "kept.npy")
