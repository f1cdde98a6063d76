"""An index of photos: what it does, whatever stores it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from reid.common.errors import UserError
from search.records import EVERYTHING, Filter, Hit, Judgement, Model, NewPhoto, Person, Sighting


class StaleModelError(UserError):
    """Embeddings of a model that the index does not use."""


class UnknownPhotoError(UserError):
    """A photo that the index does not have, or not any more."""

    def __init__(self, photo: int) -> None:
        """Say which photo."""
        super().__init__(f"the index has no photo {photo}, or not any more: search again.")


class Index(ABC):
    """Photos of people with their embeddings. All methods may be called from several threads.

    The index has one current model, whose embeddings answer. It may hold those of further models:
    to compare two, or while a new one is prepared.
    """

    @abstractmethod
    def models(self) -> list[Model]:
        """Return the models that have an embedding of every photo, the current one first."""

    @abstractmethod
    def begin_model(self, model: Model) -> None:
        """Prepare for the embeddings of a new model. The first model becomes the current one."""

    @abstractmethod
    def finish_model(self, sha256: str, switch: bool) -> bool:
        """Let a prepared model answer, if it has an embedding of every photo.

        Args:
            sha256: the hash of the model.
            switch: whether it becomes the current model, and the embeddings of all others are
                deleted.

        Returns:
            Whether that was done. If not, photos were added meanwhile: embed those, and try again.
        """

    @abstractmethod
    def drop_model(self, sha256: str) -> None:
        """Delete the embeddings of a model that is not the current one.

        Raises:
            UserError: it is the current one.
        """

    @abstractmethod
    def known(self, hashes: Sequence[str]) -> dict[str, str | None]:
        """Return the person of each photo that the index has, by the hash of the photo's file."""

    @abstractmethod
    def add(self, photos: Sequence[NewPhoto], embeddings: Mapping[str, np.ndarray]) -> int:
        """Add photos that the index doesn't have yet. When this returns, they survive a crash.

        Args:
            photos: the n photos.
            embeddings: for the hash of each model of `models`, float32 (n, d), rows of length 1.

        Returns:
            The number of photos that were added. The others were there already.

        Raises:
            StaleModelError: the embeddings are not those of the index's models.
            UserError: the index has no model yet.
        """

    @abstractmethod
    def without_embedding(self, sha256: str, count: int) -> dict[int, bytes]:
        """Return the content of up to ``count`` photos, by id, that a model has not embedded."""

    @abstractmethod
    def add_embeddings(self, sha256: str, embeddings: Mapping[int, np.ndarray]) -> None:
        """Add embeddings, float32 (d,), of a prepared model, by the id of the photo."""

    @abstractmethod
    def search(
        self, embeddings: np.ndarray, sha256: str, count: int, among: Filter = EVERYTHING
    ) -> list[list[Hit]]:
        """Find the photos that are most similar to queries.

        Args:
            embeddings: the m queries, float32 (m, d), rows of length 1.
            sha256: the hash of the model that made them.
            count: how many photos to find for each query.
            among: which photos may be found.

        Returns:
            For each query the hits, the most similar first.

        Raises:
            StaleModelError: the index does not answer for that model.
        """

    @abstractmethod
    def sample(self, sha256: str, count: int) -> tuple[list[str], np.ndarray]:
        """Return the people and embeddings, float32 (n, d), of up to ``count`` photos.

        The photos are of named people and spread evenly over the index. Equal indexes give equal
        samples.

        Raises:
            StaleModelError: the index does not answer for that model.
        """

    @abstractmethod
    def people(self) -> list[Person]:
        """Return the people, by name."""

    @abstractmethod
    def sightings(self, people: Sequence[str]) -> list[Sighting]:
        """Return all photos of some people, in the order in which they were added."""

    @abstractmethod
    def photo(self, photo: int) -> tuple[Sighting, bytes] | None:
        """Return a photo and its content, or None if the index doesn't have it."""

    @abstractmethod
    def size(self) -> int:
        """Return the number of photos."""

    @abstractmethod
    def forget(self, person: str) -> int:
        """Delete a person: name, photos, embeddings, judgements. Return the number of photos.

        When this returns, no file of the index holds any of it.
        """

    @abstractmethod
    def expire(self, before: float) -> int:
        """Delete the photos taken before a time, and judgements given before it, as `forget` does.

        The time of a photo for which no time is known is the one at which it was added. Return the
        number of photos.
        """

    @abstractmethod
    def judge(self, judgement: Judgement) -> None:
        """Keep a judgement.

        Raises:
            UnknownPhotoError: the photo that was found is not in the index any more.
        """

    @abstractmethod
    def judgements(self) -> Iterable[Judgement]:
        """Return all judgements, the oldest first."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""

    @staticmethod
    def refuse_current(sha256: str, current: Model) -> None:
        """Refuse to drop the current model.

        Raises:
            UserError: the model is the current one.
        """
        if sha256 == current.sha256:
            raise UserError(
                f"{current.name} is the model whose embeddings answer, so it can't be dropped. "
                "Switch to another one first."
            )

    def current_model(self) -> Model:
        """Return the model whose embeddings answer.

        Raises:
            UserError: the index was never built.
        """
        models = self.models()
        if not models:
            raise UserError(
                "the index is empty. Run `python -m reid index build` for the pipeline's gallery, "
                "or `python -m reid index add FOLDER` for photos of your own."
            )
        return models[0]


def open_index(address: str, folder: Path) -> Index:
    """Open an index, or create it if there is none.

    Args:
        address: the URI of a Milvus server, or nothing for the index in the folder.
        folder: the folder of the index that is stored here.

    Raises:
        UserError: the index can't be opened.
    """
    if address:
        from search.milvus.index import MilvusIndex  # noqa: PLC0415

        return MilvusIndex(address)
    from search.sqlite_index import SqliteIndex  # noqa: PLC0415

    return SqliteIndex(folder)
