"""How steps read media: through one child process, which may die without harm.

A death or a missed deadline is tried once more in a fresh child; two on the same file and verb mean that the file is
unusable. What was already handed out before a death is not handed out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from mediafm.config import AudioSettings, DetectorChoice, FrameSettings, MediaLimits, TimedTextSettings
from mediafm.errors import InterruptedMediaError, MediaFMError, UnusableMediaError
from mediafm.extract.carriers import CutShot, StoredFrame
from mediafm.extract.remote import MediaPlaces
from mediafm.media.audio import ShotSamples
from mediafm.media.info import MediaInfo, PassSummary
from mediafm.media.loudness import SILENT_LUFS
from mediafm.media.sandbox import Message, Sandbox, Serve
from mediafm.media.timed_text_cue import Cue, TimedText
from mediafm.s3.buckets import Buckets
from mediafm.types import Json, Shot, Span

CHILD_MODULE = "mediafm.extract.child"
NUM_ATTEMPTS = 2
PROBE_BYTES_PER_SECOND = 20 * 1024**2
"""What a probe may at least be expected to read; its duration is not known yet (our choice)."""

Item = TypeVar("Item")


class SidecarFile(Protocol):
    """What is asked of a sidecar; the catalogue's `Sidecar` is one."""

    @property
    def path(self) -> str: ...
    @property
    def language(self) -> str | None: ...
    @property
    def flags(self) -> tuple[str, ...]: ...


class Results(Generic[Item]):
    """Results as they come; `summary` tells of the whole pass once they have all come.

    Dropping it half-way (`close`, or the end of its last reference) leaves the reader usable.
    """

    def __init__(self, messages: Iterator[Message], read: Callable[[Message], Item]) -> None:
        self._messages = messages
        self._read = read
        self.summary: PassSummary | None = None

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        message = next(self._messages)
        if message.header.get("is_done"):
            summary = message.header["summary"]
            self.summary = PassSummary(**{**summary, "notes": tuple(summary["notes"])})
            for _ in self._messages:
                raise InterruptedMediaError("an answer after the last one", rule="the last answer says that it is")
            raise StopIteration
        return self._read(message)

    def close(self) -> None:
        """Stops the pass."""
        close: Callable[[], None] | None = getattr(self._messages, "close", None)
        if close is not None:
            close()


class MediaReader:
    """Reads titles in a child process. A context manager; one per step, used by one thread at a time.

    Args:
        limits: bounds on files, memory and time.
        module: the child's module; another one only in tests.
        buckets: how media at `s3://` is reached; the child itself reaches nothing.
    """

    def __init__(self, limits: MediaLimits, module: str = CHILD_MODULE, buckets: Buckets | None = None) -> None:
        self._limits = limits
        self._places = MediaPlaces(limits, buckets)
        self._sandbox = Sandbox(module, limits.child_memory_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child. The reader may be used again; it then starts another."""
        self._sandbox.close()

    @property
    def child_pid(self) -> int | None:
        """The child's process id while it lives."""
        return self._sandbox.pid

    def probe(self, path: str) -> MediaInfo:
        """Reads the whole file once and says what it is.

        Raises:
            UnusableMediaError: the title is to be quarantined, with this sentence.
            NotFoundError: there is no such file.
            TransientError: it cannot be read now.
        """
        seconds = self._limits.child_seconds_base + self._places.size_bytes(path) / PROBE_BYTES_PER_SECOND
        return MediaInfo.from_json(self._ask("probe", {"path": path}, seconds).header["info"])

    def look(self, path: str) -> None:
        """Reads a file's head and index: what that can tell need not wait for a download. Raises as `probe`."""
        self._places.size_bytes(path)
        self._ask("look", {"path": path}, self._limits.child_seconds_base)

    def cut(self, path: str, info: MediaInfo, detector: DetectorChoice, frames: FrameSettings) -> Results[CutShot]:
        """One pass over the picture: shots, in order, each as soon as it is final, with the frames it keeps.

        Raises (while iterating): as `probe`.
        """
        request: dict[str, Json] = {
            "path": path,
            "info": info.as_json(),
            "detector": detector.model_dump(mode="json"),
            "frames": frames.model_dump(mode="json"),
        }
        return Results(self._messages("cut", request, self._seconds(info)), _cut_shot)

    def audio(self, path: str, info: MediaInfo, spans: Sequence[Span], settings: AudioSettings) -> Results[ShotSamples]:
        """The sound of each span, in order, from one pass over the chosen track; empty samples where there is none.

        Raises (while iterating): as `probe`.
        """
        if info.chosen_audio is None:
            return Results(_silence(len(spans)), _shot_samples)
        request: dict[str, Json] = {
            "path": path,
            "stream_index": info.chosen_audio.index,
            "spans": [[span.start_seconds, span.end_seconds] for span in spans],
            "settings": settings.model_dump(mode="json"),
        }
        return Results(self._messages("audio", request, self._seconds(info)), _shot_samples)

    def loudness(self, path: str, info: MediaInfo) -> float:
        """Integrated loudness of the chosen track in LUFS (`mediafm.media.loudness`); -70 for silence or no sound.

        Raises: as `probe`.
        """
        if info.chosen_audio is None:
            return SILENT_LUFS
        request: dict[str, Json] = {"path": path, "stream_index": info.chosen_audio.index}
        return float(self._ask("loudness", request, self._seconds(info)).header["lufs"])

    def timed_text(
        self, path: str | None, sidecars: Sequence[SidecarFile], info: MediaInfo, settings: TimedTextSettings
    ) -> TimedText:
        """The title's timed text. What cannot be read is a problem recorded in it, never a failure of the title."""
        request: dict[str, Json] = {
            "path": path,
            "sidecars": [
                {"path": each.path, "language": each.language, "flags": list(each.flags)} for each in sidecars
            ],
            "subtitles": info.as_json()["subtitles"],
            "settings": settings.model_dump(mode="json"),
            "start_seconds": info.start_seconds,
        }
        try:
            found = self._ask("timed_text", request, self._seconds(info)).header["text"]
        except UnusableMediaError as error:
            return TimedText((), "", None, (f"timed text could not be read: {error}",))
        cues = tuple(Cue(**cue) for cue in found["cues"])
        return TimedText(cues, found["source"], found["language"], tuple(found["problems"]))

    def _seconds(self, info: MediaInfo) -> float:
        return self._limits.child_seconds_base + self._limits.child_seconds_per_media_second * info.extent_seconds

    def _ask(self, verb: str, request: Mapping[str, Json], seconds: float) -> Message:
        """The one answer to a request that has one."""
        (answer,) = self._messages(verb, request, seconds)
        return answer

    def _messages(self, verb: str, request: Mapping[str, Json], seconds: float) -> Iterator[Message]:
        """The child's answers, while the files that the request names are held where it can read them."""
        path, sidecars = request["path"], request.get("sidecars", [])
        named = [str(each["path"]) for each in sidecars if isinstance(each, dict)] if isinstance(sidecars, list) else []
        with self._places.placed(None if path is None else str(path), named, is_look=verb == "look") as placed:
            whole = {
                **request,
                "path": placed.path,
                "places": placed.places,
                "verb": verb,
                "limits": self._limits.model_dump(mode="json"),
            }
            yield from self._attempts(verb, whole, seconds, placed.serve)

    def _attempts(self, verb: str, whole: Mapping[str, Json], seconds: float, serve: Serve | None) -> Iterator[Message]:
        """After a death a second child begins anew and what we already have is skipped."""
        num_given = 0
        deaths: list[InterruptedMediaError] = []
        while len(deaths) < NUM_ATTEMPTS:
            try:
                for position, message in enumerate(self._sandbox.request(whole, seconds, serve)):
                    if position >= num_given:
                        num_given += 1
                        yield message
                return
            except InterruptedMediaError as error:
                deaths.append(error)
        raise UnusableMediaError(
            f"reading it ({verb}) failed twice: {deaths[-1].seen}", rule=deaths[-1].rule, remedy=deaths[-1].remedy
        ) from deaths[-1]


def _cut_shot(message: Message) -> CutShot:
    shot, frames = message.header["shot"], message.header["frames"]
    if len(frames) != len(message.blobs):
        raise MediaFMError(f"{len(frames)} frames with {len(message.blobs)} JPEGs", rule="one JPEG a frame")
    return CutShot(
        shot=Shot(**{**shot, "span": Span(**shot["span"])}),
        frames=tuple(StoredFrame(**frame, jpeg=jpeg) for frame, jpeg in zip(frames, message.blobs, strict=True)),
    )


def _shot_samples(message: Message) -> ShotSamples:
    data = message.blobs[0] if message.blobs else b""
    return ShotSamples(int(message.header["index"]), np.frombuffer(data, np.float32))


def _silence(num_spans: int) -> Iterator[Message]:
    """What a title without sound answers."""
    for index in range(num_spans):
        yield Message({"index": index})
    summary: dict[str, Any] = {"num_decoded": 0, "num_errors": 0, "notes": ["the file has no sound"]}
    yield Message({"is_done": True, "summary": summary})
