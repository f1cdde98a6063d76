"""Queries of a data set and the gallery's answers to them, with their photos."""

from pathlib import Path

import numpy as np
from PIL import Image

from reid.data.dataset import read_subset
from reid.data.images import decode
from reid.data.market import DISTRACTOR_PID
from reid.evaluation import picture
from reid.evaluation.picture import Photo
from reid.protocol.ranking import Matches


def photo_pixels(content: bytes) -> np.ndarray:
    """Decode an image file to the size that it has in the picture."""
    return decode(content, picture.HEIGHT, picture.WIDTH)


def who(pid: int) -> str:
    """What to call a pid where people read it."""
    return "distractor" if pid == DISTRACTOR_PID else f"person {pid}"


def picture_of_answers(
    title: str, dataset: Path, queries: np.ndarray, matches: Matches
) -> Image.Image:
    """Draw queries and their answers, right ones framed green and wrong ones red.

    Args:
        title: stands above all.
        dataset: folder that ``ingest`` wrote.
        queries: int (q,), row numbers of the query subset.
        matches: their answers, rows of the gallery subset.
    """
    query = read_subset(dataset, "query", images=True)
    gallery = read_subset(dataset, "gallery", images=True)
    sheet = []
    for number, row in enumerate(queries):
        asked = query.iloc[row]
        camera = f"camera {asked['camid']}"
        shown = Photo(photo_pixels(asked["image"]), picture.QUERY_FRAME, who(asked["pid"]), camera)
        answers = []
        for found, similarity, right in zip(*(column[number] for column in matches), strict=True):
            if found < 0:
                break
            answer = gallery.iloc[found]
            frame = picture.RIGHT_FRAME if right else picture.WRONG_FRAME
            detail = f"c{answer['camid']} · {similarity:.3f}"
            answers.append(Photo(photo_pixels(answer["image"]), frame, who(answer["pid"]), detail))
        sheet.append((shown, answers))
    return picture.answers_sheet(title, sheet)
