"""A picture of queries and their answers, for people to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HEIGHT, WIDTH = 192, 96
"""The size of a photo in the picture, in pixels."""
FRAME, GAP, CAPTION, MARGIN = 4, 12, 34, 24
"""The widths of frames, gaps and margins, and the height of a caption, in pixels."""

INK, FAINT, PAPER = "#1f2328", "#656d76", "#ffffff"
QUERY_FRAME, RIGHT_FRAME, WRONG_FRAME, NEUTRAL_FRAME = "#0969da", "#1a7f37", "#cf222e", "#8c959f"


@dataclass(frozen=True)
class Photo:
    """A photo with a frame around it and two lines below it."""

    pixels: np.ndarray
    """The photo as uint8 (height, width, 3) of any size."""
    frame: str
    """The colour of the frame."""
    title: str
    """The first line."""
    detail: str
    """The second line, smaller and paler."""


def _draw_photo(sheet: Image.Image, photo: Photo, left: int, top: int) -> None:
    pen = ImageDraw.Draw(sheet)
    outer = (left, top, left + WIDTH + 2 * FRAME - 1, top + HEIGHT + 2 * FRAME - 1)
    pen.rectangle(outer, fill=photo.frame)
    scaled = Image.fromarray(photo.pixels).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    sheet.paste(scaled, (left + FRAME, top + FRAME))
    middle = left + FRAME + WIDTH // 2
    below = top + HEIGHT + 2 * FRAME + 4
    pen.text((middle, below), photo.title, INK, ImageFont.load_default(13), anchor="ma")
    pen.text((middle, below + 16), photo.detail, FAINT, ImageFont.load_default(11), anchor="ma")


def answers_sheet(title: str, rows: Sequence[tuple[Photo, Sequence[Photo]]]) -> Image.Image:
    """Draw one query per row, with its answers from left to right, the best first.

    Args:
        title: the text above the picture.
        rows: each query with its answers. Rows may differ in length.
    """
    cell_width, cell_height = WIDTH + 2 * FRAME + GAP, HEIGHT + 2 * FRAME + CAPTION + GAP
    longest = max(len(answers) for _, answers in rows)
    header = MARGIN + 28
    size = (
        2 * MARGIN + (longest + 1) * cell_width + GAP,
        header + len(rows) * cell_height + MARGIN - GAP,
    )
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN - 4), title, INK, ImageFont.load_default(17))
    for number, (query, answers) in enumerate(rows):
        top = header + number * cell_height
        _draw_photo(sheet, query, MARGIN, top)
        for rank, answer in enumerate(answers, 1):
            _draw_photo(sheet, answer, MARGIN + GAP + rank * cell_width, top)
    return sheet
