"""Contact sheets: bounded, whole, labelled."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mediafm.errors import IntegrityError, MediaFMError
from mediafm.shots.contact_sheet import SheetLayout, clock, contact_sheet

LAYOUT = SheetLayout(columns=4, max_shots=10, picture_width_px=64, gap_px=4)


def jpeg(size: tuple[int, int] = (64, 36), colour: tuple[int, int, int] = (200, 40, 40)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, "JPEG")
    return target.getvalue()


def opened(sheet: bytes) -> Image.Image:
    return Image.open(io.BytesIO(sheet))


def test_each_shot_has_its_picture_and_caption() -> None:
    sheet = opened(contact_sheet([(0, 0.0, jpeg()), (1, 2.5, jpeg(colour=(0, 0, 255)))], LAYOUT))
    assert sheet.format == "JPEG"
    assert sheet.size[0] == 4 + 2 * (64 + 4)
    red, blue = sheet.getpixel((4 + 32, 4 + 18)), sheet.getpixel((4 + 68 + 32, 4 + 18))
    assert red[0] > 150 > red[2]
    assert blue[2] > 150 > blue[0]


def test_many_shots_are_thinned_evenly_and_the_size_stays_bounded() -> None:
    ten = opened(contact_sheet([(i, i * 1.0, jpeg()) for i in range(10)], LAYOUT))
    many = opened(contact_sheet([(i, i * 1.0, jpeg()) for i in range(1000)], LAYOUT))
    assert many.size[0] == ten.size[0]
    assert ten.size[1] < many.size[1] < ten.size[1] + 40  # the heading that says how many are missing


def test_pictures_of_one_shot_stay_together() -> None:
    three_each = [(shot, position * 0.5, jpeg()) for shot in range(30) for position in range(3)]
    sheet = opened(contact_sheet(three_each, replace(LAYOUT, columns=3)))
    assert sheet.size[0] == 4 + 3 * 68  # one row a shot


def test_frames_of_another_shape_are_fitted() -> None:
    sheet = opened(contact_sheet([(0, 0.0, jpeg()), (1, 1.0, jpeg(size=(36, 64)))], LAYOUT))
    plate = sheet.getpixel((4 + 68 + 4, 4 + 18))
    assert max(plate[:3]) < 80


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(MediaFMError, match="at least one shot"):
        contact_sheet([])


def test_a_damaged_frame_names_its_shot() -> None:
    with pytest.raises(IntegrityError, match="shot 7: 3 bytes that cannot be read"):
        contact_sheet([(7, 0.0, b"abc")])


def test_a_cut_off_frame_is_damaged_too() -> None:
    with pytest.raises(IntegrityError, match="shot 3"):
        contact_sheet([(3, 0.0, jpeg()[:-300])])


def test_a_layout_without_columns_is_refused() -> None:
    with pytest.raises(MediaFMError, match="at least one column"):
        SheetLayout(columns=0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00.0"), (59.96, "1:00.0"), (754.04, "12:34.0"), (3723.4, "1:02:03.4"), (-0.5, "-0:00.5")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@given(st.integers(0, 10**6))
def test_clock_reads_back(tenths: int) -> None:
    parts = [float(part) for part in clock(tenths / 10).split(":")]
    seconds = sum(value * 60**power for power, value in enumerate(reversed(parts)))
    assert seconds == pytest.approx(tenths / 10)
