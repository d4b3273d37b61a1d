"""The films of an evening: drawn ones and two cut from real ones; dropped at once or slowly; broken."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av

from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import TINY

SEED = 1
PIECE_SECONDS, MAX_PIECES = 0.5, 600
"""Of a slow copy: how often it grows, and how long half of it may take."""
MEDIA = (".mp4", ".mkv")
REAL = {"sintel_part2": 22.0, "chrome_sf_drive": 10.0}
"""Real films by name, and of how many seconds their beginning is taken."""


@dataclass(frozen=True)
class EveningFilms:
    """A catalogue beside the watched folder, in the order in which its films come.

    source: where the films lie ready. watched: the folder that the sensor looks at. title_ids: in their order.
    """

    source: Path
    watched: Path
    title_ids: tuple[str, ...]

    def drop(self, first: int, last: int) -> tuple[str, ...]:
        """Films `first` to `last` with all that lies beside them, in a moment: no tick sees but a part. Their ids."""
        chosen = self.title_ids[first:last]
        staged = self.watched.with_name("staged")
        staged.mkdir()
        for title_id in chosen:
            for path in self.source.glob(f"{title_id}.*"):
                shutil.copy(path, staged)
        for path in sorted(staged.iterdir()):
            path.rename(self.watched / path.name)
        staged.rmdir()
        return chosen

    def drop_slowly(self, title_id: str, is_late: Callable[[], bool]) -> None:
        """A copy over a slow line: half of the film bit by bit until it is late, then the rest."""
        self._copy_sidecars(title_id)
        content = self.media(title_id).read_bytes()
        half = len(content) // 2
        piece = half // MAX_PIECES
        with (self.watched / self.media(title_id).name).open("wb") as file:
            while not is_late():
                assert file.tell() < half, "nobody looked meanwhile"
                file.write(content[file.tell() : file.tell() + piece])
                file.flush()
                time.sleep(PIECE_SECONDS)
            file.write(content[file.tell() :])

    def media(self, title_id: str, folder: Path | None = None) -> Path:
        (found,) = [path for path in (folder or self.source).glob(f"{title_id}.*") if path.suffix in MEDIA]
        return found

    def in_watched(self, title_id: str) -> Path:
        return self.media(title_id, self.watched)

    def break_three(self, truncated: str, text: str, empty: str) -> None:
        """A tail that is cut off, a page of text in a film's place, and nothing at all."""
        half = self.in_watched(truncated).read_bytes()
        self.in_watched(truncated).write_bytes(half[: len(half) // 2])
        self.in_watched(text).write_text("this is no film\n" * 100)
        self.in_watched(empty).write_bytes(b"")

    def mend(self, title_id: str) -> None:
        """The film as it was."""
        shutil.copy(self.media(title_id), self.watched)

    def _copy_sidecars(self, title_id: str) -> None:
        for path in self.source.glob(f"{title_id}.*"):
            if path.suffix not in MEDIA:
                shutil.copy(path, self.watched)


def films_ready(folder: Path, num_titles: int, real_media: Path | None) -> EveningFilms:
    """`num_titles` films; the last two of the first ten are real ones where there are any."""
    source, watched = folder / "ready", folder / "films"
    watched.mkdir(parents=True)
    drawn = write_sample(source, num_titles, SEED, settings=TINY)
    title_ids = list(drawn.title_ids)
    if real_media is not None:
        for place, (name, seconds) in zip((8, 9), REAL.items(), strict=True):
            cut(real_media / f"{name}.mp4", source / f"{name}.mp4", seconds)
            for sidecar in real_media.glob(f"{name}.*.srt"):
                shutil.copy(sidecar, source)
            title_ids[place] = name
    return EveningFilms(source, watched, tuple(title_ids))


def cut(film: Path, target: Path, seconds: float) -> None:
    """The beginning of a film, its packets as they are."""
    with av.open(str(film)) as source, av.open(str(target), "w") as out:
        chosen = (*source.streams.video, *source.streams.audio)
        streams = {stream.index: out.add_stream_from_template(stream) for stream in chosen}
        for packet in source.demux(*(source.streams[index] for index in streams)):
            if packet.dts is None or packet.dts * packet.time_base > seconds:
                continue
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
