"""The corpus: every vector of a manifest in one memory-mapped float16 file, built once, deletable at any time.

`<cache>/corpora/<manifest sha256>/` holds `index.json` and raw little-endian arrays. It appears whole: built beside
and renamed into place; of two builders the loser takes the winner's. A corpus larger than memory trains.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.data.manifest import TrainingManifest, Window
from mediafm.data.sequences import NUM_MODALITIES, Loader, TitleSequence
from mediafm.errors import LineageMismatchError, StoreError

FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class Corpus:
    """The sequences of a manifest, by title.

    fused_dim: E.
    metadata_dim: M; 0 if no title has metadata.
    """

    fused_dim: int
    metadata_dim: int
    _offsets: Mapping[str, tuple[int, int, int]]
    _fused: NDArray[np.float16]
    _is_present: NDArray[np.bool_]
    _metadata: NDArray[np.float32]

    def title(self, title_id: str) -> TitleSequence:
        """One title's sequence; its arrays are views of the mapped file."""
        start, end, row = self._offsets[title_id]
        metadata = self._metadata[row] if row >= 0 else None
        return TitleSequence(title_id, self._fused[start:end], self._is_present[start:end], metadata)

    def place(self, window: Window) -> tuple[int, int]:
        """The rows `[start, end)` of the corpus that hold a window."""
        start, _, _ = self._offsets[window.title_id]
        return start + window.start, start + window.end

    @property
    def vectors(self) -> NDArray[np.float16]:
        """All fused vectors, [C, E], as the file is mapped."""
        return self._fused

    @property
    def num_shots(self) -> int:
        return len(self._fused)


def open_corpus(
    manifest: TrainingManifest, load: Loader, cache: Path, progress: Callable[[int, int], None] | None = None
) -> Corpus:
    """The corpus of `manifest`, built from `load` if the cache lacks it.

    Args:
        manifest: which titles, with how many shots each.
        load: reads one title's sequence.
        cache: the cache folder of the root.
        progress: called with (titles done, titles in all) while building.

    Raises:
        LineageMismatchError: a title has another number of shots, or another width, than the manifest or its fellows.
        StoreError: a vector is not finite, or the cache cannot be written.
    """
    folder = cache / "corpora" / manifest.sha256
    found = _read(folder, manifest)
    if found is None:
        if folder.exists():
            shutil.rmtree(folder)
        _build(folder, manifest, load, progress)
        found = _read(folder, manifest)
    if found is None:
        raise StoreError(
            "a corpus that does not read back",
            rule="what was written can be read",
            where=str(folder),
            remedy="Delete the cache folder and look at the disk.",
        )
    return found


def _read(folder: Path, manifest: TrainingManifest) -> Corpus | None:
    """The corpus in `folder`; None if it is absent, of another format, or not whole."""
    try:
        index = json.loads((folder / "index.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    if index.get("format_version") != FORMAT_VERSION:
        return None
    num_shots, fused_dim = index["num_shots"], index["fused_dim"]
    fused = _mapped(folder / "fused.f16", np.float16, (num_shots, fused_dim))
    is_present = _mapped(folder / "present.bool", np.bool_, (num_shots, NUM_MODALITIES))
    metadata = _mapped(folder / "metadata.f32", np.float32, (index["num_metadata"], index["metadata_dim"]))
    offsets = {title_id: tuple(place) for title_id, place in index["offsets"].items()}
    if fused is None or is_present is None or metadata is None or set(offsets) != set(manifest.by_id):
        return None
    return Corpus(fused_dim, index["metadata_dim"], offsets, fused, is_present, metadata)


def _mapped(file: Path, dtype: type[np.generic], shape: tuple[int, int]) -> NDArray[Any] | None:
    """The array in `file`, mapped; None if its size is not the shape's."""
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    if not file.is_file() or file.stat().st_size != size:
        return None
    # As a plain array: slices of the subclass cost several times as much to make.
    return np.memmap(file, dtype, "r", shape=shape).view(np.ndarray) if size else np.zeros(shape, dtype)


def _build(folder: Path, manifest: TrainingManifest, load: Loader, progress: Callable[[int, int], None] | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        _write(beside, manifest, load, progress)
        try:
            beside.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(folder: Path, manifest: TrainingManifest, load: Loader, progress: Callable[[int, int], None] | None) -> None:
    offsets: dict[str, list[int]] = {}
    widths: dict[str, int] = {}
    start = num_metadata = 0
    with (
        (folder / "fused.f16").open("wb") as fused,
        (folder / "present.bool").open("wb") as present,
        (folder / "metadata.f32").open("wb") as metadata,
    ):
        for done, planned in enumerate(manifest.titles, start=1):
            sequence = load(planned.title)
            _check(sequence, planned.title.num_shots, widths)
            fused.write(np.ascontiguousarray(sequence.fused, np.float16).tobytes())
            present.write(np.ascontiguousarray(sequence.is_present, np.bool_).tobytes())
            row = -1
            if sequence.metadata is not None:
                metadata.write(np.ascontiguousarray(sequence.metadata, np.float32).tobytes())
                row, num_metadata = num_metadata, num_metadata + 1
            offsets[sequence.title_id] = [start, start + sequence.num_shots, row]
            start += sequence.num_shots
            if progress is not None:
                progress(done, len(manifest.titles))
        for file in (fused, present, metadata):
            file.flush()
            os.fsync(file.fileno())
    index = {
        "format_version": FORMAT_VERSION,
        "num_shots": start,
        "fused_dim": widths["fused"],
        "metadata_dim": widths.get("metadata", 0),
        "num_metadata": num_metadata,
        "offsets": offsets,
    }
    (folder / "index.json").write_text(json.dumps(index))


def _check(sequence: TitleSequence, num_shots: int, widths: dict[str, int]) -> None:
    where = f"title {sequence.title_id}"
    if sequence.num_shots != num_shots:
        raise LineageMismatchError(
            f"{sequence.num_shots} shots in the store",
            rule=f"the manifest was built on {num_shots}",
            where=where,
            remedy="Materialise training_manifest again.",
        )
    found = {"fused": sequence.fused.shape[1]}
    if sequence.metadata is not None:
        found["metadata"] = len(sequence.metadata)
    for name, width in found.items():
        if widths.setdefault(name, width) != width:
            raise LineageMismatchError(
                f"{name} vectors {width} wide", rule=f"the other titles' are {widths[name]} wide", where=where
            )
    is_finite = np.isfinite(sequence.fused).all() and (
        sequence.metadata is None or np.isfinite(sequence.metadata).all()
    )
    if not is_finite:
        raise StoreError("a vector that is not finite", rule="vectors are finite", where=where)
