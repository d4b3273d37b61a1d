"""A picture of a title's shots: one small frame each, in order, with its number and its time."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediafm.errors import IntegrityError, MediaFMError

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

ShotPicture = tuple[int, float, bytes]
"""(shot index, time in seconds to be written, a frame as JPEG)."""

_BACKGROUND, _PLATE, _NUMBER, _TIME = "#16181d", "#22262e", "#ffffff", "#9aa4b2"


@dataclass(frozen=True, kw_only=True)
class SheetLayout:
    """How a contact sheet looks.

    columns: pictures in a row.
    max_shots: beyond this many shots every k-th one is drawn, and a line at the top says so.
    picture_width_px: width of one picture; its height follows the first frame's shape.
    gap_px: room around each picture.
    jpeg_quality: 1 to 95.
    """

    columns: int = 8
    max_shots: int = 96
    picture_width_px: int = 176
    gap_px: int = 8
    jpeg_quality: int = 85

    def __post_init__(self) -> None:
        if min(self.columns, self.max_shots, self.gap_px + 1) < 1 or self.picture_width_px < 48:
            raise MediaFMError(
                f"{self.columns} columns, {self.max_shots} shots, pictures {self.picture_width_px} px wide",
                rule="a contact sheet has at least one column, one shot and pictures of 48 px",
                where="contact sheet",
            )


@dataclass(frozen=True, slots=True)
class _Grid:
    """Sizes in pixels: of a picture, of the caption under it, of the heading above all."""

    layout: SheetLayout
    num_columns: int
    num_rows: int
    picture_height: int
    caption_height: int
    heading_height: int

    @property
    def size_px(self) -> tuple[int, int]:
        gap = self.layout.gap_px
        width = gap + self.num_columns * (self.layout.picture_width_px + gap)
        height = gap + self.heading_height + self.num_rows * (self.picture_height + self.caption_height + gap)
        return width, height

    def corner_px(self, place: int) -> tuple[int, int]:
        row, column = divmod(place, self.num_columns)
        gap = self.layout.gap_px
        return (
            gap + column * (self.layout.picture_width_px + gap),
            gap + self.heading_height + row * (self.picture_height + self.caption_height + gap),
        )


def contact_sheet(pictures: Sequence[ShotPicture], layout: SheetLayout | None = None) -> bytes:
    """A JPEG of the shots in `pictures`: several pictures of one shot (first, middle, last) stand side by side.

    The size is bounded: at most `max_shots` shots are drawn.

    Raises:
        MediaFMError: there is nothing to draw.
        IntegrityError: a frame is not a JPEG.
    """
    layout = layout or SheetLayout()
    if not pictures:
        raise MediaFMError("no pictures", rule="a contact sheet shows at least one shot", where="contact sheet")
    shown, heading = _thinned(pictures, layout.max_shots)
    images = [_opened(index, jpeg) for index, _, jpeg in shown]
    return _encoded(_drawn(shown, images, _grid(images, layout, heading), heading), layout.jpeg_quality)


def clock(seconds: float) -> str:
    """Seconds as people write a position: 0:07.2, 12:34.0, 1:02:03.4; a minus sign before the beginning."""
    tenths = round(abs(seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 and tenths else ""
    body = f"{rest // 10:02d}.{rest % 10}"
    return f"{sign}{hours}:{minutes:02d}:{body}" if hours else f"{sign}{minutes}:{body}"


def _thinned(pictures: Sequence[ShotPicture], max_shots: int) -> tuple[list[ShotPicture], str]:
    shots = list(dict.fromkeys(index for index, _, _ in pictures))
    step = math.ceil(len(shots) / max_shots)
    if step == 1:
        return list(pictures), ""
    kept = set(shots[::step])
    shown = [picture for picture in pictures if picture[0] in kept]
    return shown, f"{len(kept)} of {len(shots)} shots: every {_ordinal(step)}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"


def _opened(shot_index: int, jpeg: bytes) -> Image.Image:
    from PIL import Image

    try:
        return Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB")
    except (OSError, SyntaxError) as error:
        raise IntegrityError(
            f"{len(jpeg)} bytes that cannot be read as a picture ({error})",
            rule="a stored frame is a whole JPEG",
            where=f"contact sheet, shot {shot_index}",
            remedy="Cut the title again: the frames table is damaged.",
        ) from error


def _grid(images: Sequence[Image.Image], layout: SheetLayout, heading: str) -> _Grid:
    width, height = images[0].size
    shape = min(max(height / width, 0.3), 2.0)
    num_columns = min(layout.columns, len(images))
    return _Grid(
        layout=layout,
        num_columns=num_columns,
        num_rows=math.ceil(len(images) / num_columns),
        picture_height=round(layout.picture_width_px * shape),
        caption_height=_font_size_px(layout) + 8,
        heading_height=_font_size_px(layout) + 10 if heading else 0,
    )


def _font_size_px(layout: SheetLayout) -> int:
    return max(11, layout.picture_width_px // 13)


def _drawn(shown: Sequence[ShotPicture], images: Sequence[Image.Image], grid: _Grid, heading: str) -> Image.Image:
    from PIL import Image, ImageDraw, ImageFont

    sheet = Image.new("RGB", grid.size_px, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.font = ImageFont.load_default(_font_size_px(grid.layout))
    if heading:
        draw.text((grid.layout.gap_px, grid.layout.gap_px - 2), heading, fill=_TIME)
    for place, ((index, seconds, _), image) in enumerate(zip(shown, images, strict=True)):
        _draw_one(sheet, draw, grid, grid.corner_px(place), image)
        _draw_caption(draw, grid, grid.corner_px(place), index, seconds)
    return sheet


def _draw_one(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, grid: _Grid, corner: tuple[int, int], image: Image.Image
) -> None:
    from PIL import ImageOps

    left, top = corner
    width, height = grid.layout.picture_width_px, grid.picture_height
    plate_bottom = top + height + grid.caption_height - 1
    draw.rectangle((left, top, left + width - 1, plate_bottom), fill=_PLATE)
    fitted = ImageOps.contain(image, (width, height))
    sheet.paste(fitted, (left + (width - fitted.width) // 2, top + (height - fitted.height) // 2))


def _draw_caption(draw: ImageDraw.ImageDraw, grid: _Grid, corner: tuple[int, int], index: int, seconds: float) -> None:
    left, middle = corner[0] + 6, corner[1] + grid.picture_height + grid.caption_height // 2
    draw.text((left, middle), str(index), fill=_NUMBER, anchor="lm")
    draw.text((corner[0] + grid.layout.picture_width_px - 6, middle), clock(seconds), fill=_TIME, anchor="rm")


def _encoded(sheet: Image.Image, quality: int) -> bytes:
    target = io.BytesIO()
    sheet.save(target, "JPEG", quality=quality, optimize=True)
    return target.getvalue()
