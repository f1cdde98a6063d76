"""Draw queries of a data set and the gallery's answers to them, with their photos."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from reid.common.arrays import IntArray
from reid.data.dataset import read_images
from reid.data.images import decode
from reid.data.market import person_name
from reid.evaluation import picture
from reid.evaluation.picture import Photo
from reid.protocol.ranking import Answers


def photo_pixels(content: bytes) -> np.ndarray:
    """Decode an image file to the size that it has in the picture: uint8 (height, width, 3)."""
    return decode(content, picture.HEIGHT, picture.WIDTH)


def picture_of_answers(
    title: str,
    dataset: Path,
    query: pd.DataFrame,
    gallery: pd.DataFrame,
    query_rows: IntArray,
    answers: Answers,
) -> Image.Image:
    """Draw queries and their answers, right ones framed green and wrong ones red.

    Args:
        title: the text above the picture.
        dataset: the folder that ``ingest`` wrote. Only the photos that are drawn are read from it.
        query: the rows of the query subset, with ``pid`` and ``camid``.
        gallery: the rows of the gallery subset, likewise.
        query_rows: int64 (q,), the row numbers of the queries to draw.
        answers: the answers to these q queries.
    """
    gallery_rows = np.unique(answers.rows[answers.rows >= 0]).tolist()
    query_photos = read_images(dataset, "query", query_rows.tolist())
    gallery_photos = dict(
        zip(gallery_rows, read_images(dataset, "gallery", gallery_rows), strict=True)
    )
    sheet = []
    for number, row in enumerate(query_rows):
        asked = query.iloc[row]
        shown = Photo(
            photo_pixels(query_photos[number]),
            picture.QUERY_FRAME,
            person_name(asked["pid"]),
            f"camera {asked['camid']}",
        )
        photos = []
        for found, similarity, right in zip(*(column[number] for column in answers), strict=True):
            if found < 0:
                break
            answer = gallery.iloc[found]
            frame = picture.RIGHT_FRAME if right else picture.WRONG_FRAME
            detail = f"c{answer['camid']} · {similarity:.3f}"
            pixels = photo_pixels(gallery_photos[found])
            photos.append(Photo(pixels, frame, person_name(answer["pid"]), detail))
        sheet.append((shown, photos))
    return picture.answers_sheet(title, sheet)
