"""Bounds of the reading process, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mediafm.config import DetectorChoice, FrameSettings, MediaLimits
from mediafm.extract.reader import MediaReader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these bounds")

TAKE = """
import mmap
from mediafm.extract.child_bounds import limit_address_space, limit_data_instead
def is_refused(take):
    try:
        take()
    except (MemoryError, OSError):
        return True
    return False
def write(): bytearray(256 * 1024**2)
def reserve(): mmap.mmap(-1, 64 * 1024**3, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
"""


def answers(code: str) -> str:
    found = subprocess.run([sys.executable, "-c", TAKE + code], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def test_addresses_are_bounded_written_or_only_reserved() -> None:
    assert answers("limit_address_space(64 * 1024**2); print(is_refused(write), is_refused(reserve))") == "True True"


def test_for_a_gpu_addresses_may_be_reserved_but_written_memory_stays_bounded() -> None:
    code = "limit_address_space(64 * 1024**2); limit_data_instead(64 * 1024**2)"
    assert answers(f"{code}; print(is_refused(write), is_refused(reserve))") == "True False"


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_network_runs_inside_the_bounds(shared_media: Path, device: str) -> None:
    """A real title through the child: torch, its threads and the decoder's, in the default bounds."""
    path = str(shared_media / "titles" / "friday.mp4")
    choice = DetectorChoice(name="transnetv2", settings={"device": device})
    with MediaReader(MediaLimits()) as reader:
        results = reader.cut(path, reader.probe(path), choice, FrameSettings(short_side_px=32))
        shots = list(results)
    assert [cut.shot.start_frame for cut in shots] == [0]
    assert results.summary is not None
    assert shots[0].shot.end_frame == results.summary.num_decoded
