"""The search tool: one index, its networks, and what its similarities mean."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reid.common.errors import UserError
from search.enrolment import Counts, Entry, add_photos, checked_name
from search.false_alarms import FalseAlarms, measure_false_alarms
from search.index import Index, open_index
from search.networks import Networks
from search.people import Answer, find_people, one_query
from search.photos import named_kept_form
from search.records import EVERYTHING, Filter, Judgement, Model

ADDRESS, FOLDER = "SEARCH_INDEX", "SEARCH_FOLDER"
"""Environment variables: the URI of a Milvus server; the folder of what is stored here."""
DEFAULT_FOLDER = "index"
GROWTH = 1.1
"""What similarities mean is measured anew once the index is so many times larger or smaller."""


@dataclass(frozen=True)
class Measured:
    """What similarities of a model mean, and the number of photos when that was measured."""

    false_alarms: FalseAlarms
    size: int


class SearchTool:
    """What the commands, the page and the service do."""

    def __init__(self, index: Index, folder: Path) -> None:
        """Use an index, and a folder for networks and the audit."""
        self.index, self.folder = index, folder
        self.networks = Networks(folder / "networks")
        self._measured: dict[str, Measured] = {}
        self._measuring = threading.Lock()

    def search(
        self,
        photos: Sequence[bytes],
        top: int,
        rate: float,
        among: Filter = EVERYTHING,
        model: Model | None = None,
    ) -> Answer:
        """Find the person who is on all of these photos.

        Args:
            photos: JPEG or PNG files of one person.
            top: the largest number of people.
            rate: the accepted share of false alarms.
            among: which photos may be found.
            model: one of the index's models; the current one if None.

        Raises:
            UserError: a photo can't be read, or the index is empty.
        """
        used = model or self.index.current_model()
        kept = [named_kept_form(f"photo {number}", photo) for number, photo in enumerate(photos, 1)]
        network = self.networks.load(used.sha256)
        return find_people(
            self.index,
            one_query(network.embed(kept)),
            used.sha256,
            self.false_alarms(used.sha256),
            rate,
            top,
            among,
            network.thresholds,
        )

    def false_alarms(self, model: str) -> FalseAlarms:
        """Return what similarities of a model mean.

        The first call measures it. Once the index has grown, a thread measures it anew, and the
        earlier answer stands meanwhile.
        """
        size = self.index.size()
        measured = self._measured.get(model)
        if measured is None:
            with self._measuring:
                if model not in self._measured:
                    self._measure(model, size)
            return self._measured[model].false_alarms
        is_old = not measured.size / GROWTH <= size <= measured.size * GROWTH
        if is_old and self._measuring.acquire(blocking=False):
            threading.Thread(target=self._measure_again, args=(model, size), daemon=True).start()
        return measured.false_alarms

    def _measure(self, model: str, size: int) -> None:
        self._measured[model] = Measured(measure_false_alarms(self.index, model), size)

    def _measure_again(self, model: str, size: int) -> None:
        try:
            self._measure(model, size)
        except UserError:
            self._measured.pop(model, None)
        finally:
            self._measuring.release()

    def enrol(
        self,
        name: str,
        photos: Sequence[tuple[str, bytes]],
        camera: int | None,
        taken: float | None,
    ) -> Counts:
        """Add photos of one person: their file names and contents.

        Raises:
            UserError: a photo can't be read or is in the index as another person's, or the name
                can't be used. Then none is added.
        """
        person = checked_name(name)
        entries = [
            Entry(partial(bytes, content), person, file, camera, taken) for file, content in photos
        ]
        return add_photos(self.index, self.networks, entries)

    def judge(
        self,
        query: bytes,
        photo: int,
        similarity: float,
        right: bool,
        model: Model | None = None,
    ) -> bool:
        """Keep somebody's word on an answer.

        Args:
            query: the photo that was searched for.
            photo: the id of the photo that was found.
            similarity: the similarity of the two.
            right: whether they show the same person.
            model: the model that answered; the current one if None.

        Returns:
            Whether the photo that was found is still in the index.
        """
        found = self.index.photo(photo)
        if found is None:
            return False
        sighting, _ = found
        self.index.judge(
            Judgement(
                named_kept_form("the photo searched for", query),
                photo,
                sighting.person,
                similarity,
                (model or self.index.current_model()).sha256,
                right,
                time.time(),
            )
        )
        return True


def open_tool() -> SearchTool:
    """Open the tool that the environment variables name.

    Raises:
        UserError: the index can't be opened.
    """
    folder = Path(os.environ.get(FOLDER) or DEFAULT_FOLDER)
    return SearchTool(open_index(os.environ.get(ADDRESS, ""), folder), folder)
