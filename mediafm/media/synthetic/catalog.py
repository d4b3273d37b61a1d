"""The door: `write_sample` makes a catalogue of real media files whose truth is known.

DIR/<title_id>.mp4 | .mkv        the titles, flat, with their sidecars <title_id>.json, .srt, .en.srt, .vtt, .ttml, .ass
DIR/truth.json                   fps, transitions, shots, scenes with latent variables
DIR/labels/<task>.jsonl          a row for each scene; labels/tasks.json says kind, classes and what they depend on
DIR/sample.json                  the marker: version, settings, seed, title ids, sizes of all files
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm.errors import ConfigError
from mediafm.media.synthetic.partial import LOCK_NAME, written_beside
from mediafm.media.synthetic.settings import SAMPLE_VERSION, SampleSettings
from mediafm.media.synthetic.sidecars import LABELS_NAME, TRUTH_NAME, write_json, write_sidecars
from mediafm.media.synthetic.team import Progress, write_titles
from mediafm.types import Json

MARKER_NAME = "sample.json"


@dataclass(frozen=True, kw_only=True)
class SampleCatalog:
    """A written sample. `is_new` is False where it stood there already and nothing was done."""

    directory: Path
    title_ids: tuple[str, ...]
    duration_seconds: float
    is_new: bool

    @property
    def truth_path(self) -> Path:
        return self.directory / TRUTH_NAME

    @property
    def labels_directory(self) -> Path:
        """One JSONL file for each task."""
        return self.directory / LABELS_NAME


def write_sample(
    directory: Path,
    num_titles: int,
    seed: int,
    progress: Progress | None = None,
    *,
    settings: SampleSettings | None = None,
    num_workers: int | None = None,
) -> SampleCatalog:
    """Writes `num_titles` titles, their sidecars, truth and labels to `directory`, whole or not at all.

    The same seed and settings give the same titles, and the first titles do not depend on how many there are.

    Args:
        directory: absent, empty, or an identical sample, which is returned at once.
        progress: called with titles done and titles in all; not called where nothing is done.
        num_workers: processes that draw; by default one for each CPU that this process may use.

    Raises:
        ConfigError: an impossible number, or the directory holds something else.
        StoreError: it cannot be written.
    """
    settings = settings or SampleSettings()
    if num_titles < 1 or seed < 0:
        raise ConfigError(
            f"{num_titles} titles of seed {seed}", rule="a sample has at least one title and a seed of at least 0"
        )
    directory = directory.absolute()
    wanted: dict[str, Json] = {
        "version": SAMPLE_VERSION,
        "num_titles": num_titles,
        "seed": seed,
        "settings": settings.as_json(),
    }
    is_new = not _is_standing(directory, wanted)
    if is_new:
        with written_beside(directory) as partial:
            write_titles(partial, num_titles, seed, settings, progress, num_workers)
            made = write_sidecars(partial, num_titles, seed, settings)
            sizes = {name: (partial / name).stat().st_size for name in _files(partial)}
            write_json(partial / MARKER_NAME, {**wanted, **made, "files": sizes})
        _is_standing(directory, wanted)
    marker = _read_marker(directory)
    return SampleCatalog(
        directory=directory,
        title_ids=tuple(marker["title_ids"]),
        duration_seconds=marker["duration_seconds"],
        is_new=is_new,
    )


def _files(directory: Path) -> list[str]:
    files = (file for file in sorted(directory.rglob("*")) if file.is_file() and file.name != LOCK_NAME)
    return [str(file.relative_to(directory)) for file in files]


def _is_standing(directory: Path, wanted: dict[str, Json]) -> bool:
    """Whether the wanted sample is there, whole.

    Raises:
        ConfigError: something else is there.
    """
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    found = _read_marker(directory)
    different = [key for key in wanted if found.get(key) != wanted[key]]
    if different:
        raise ConfigError(
            f"it holds a sample with another {', '.join(different)}" if found else "it holds other files",
            rule="a sample is written to a directory that is absent, empty or holds the same sample",
            where=str(directory),
            remedy="Name another directory, or delete this one.",
        )
    broken = [name for name, size in found.get("files", {}).items() if not _has_size(directory / name, size)]
    if broken:
        raise ConfigError(
            f"{len(broken)} of its files are missing or changed, {broken[0]} first",
            rule="a sample stays as it was written",
            where=str(directory),
            remedy="Delete the directory and write the sample again.",
        )
    return True


def _read_marker(directory: Path) -> dict[str, Any]:
    """What the sample says of itself; nothing where there is no marker."""
    marker = directory / MARKER_NAME
    if not marker.is_file():
        return {}
    try:
        found = json.loads(marker.read_bytes())
    except ValueError as error:
        raise ConfigError(
            f"{MARKER_NAME} cannot be read ({error})",
            rule="the marker of a sample is JSON",
            where=str(directory),
            remedy="Delete the directory and write the sample again.",
        ) from error
    return dict(found) if isinstance(found, dict) else {}


def _has_size(file: Path, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size
