"""How loud a title is as a whole: integrated loudness (ITU-R BS.1770-4, EBU R 128), measured by ffmpeg's own meter."""

from __future__ import annotations

import av
import av.error
from av.audio.stream import AudioStream as AvAudioStream
from av.filter import Graph

from mediafm.config import MediaLimits
from mediafm.errors import InterruptedMediaError, MediaError
from mediafm.media.container import open_container, packets
from mediafm.media.remote import MediaSource

TARGET_LUFS = -23.0
"""EBU R 128: where programmes of European broadcasters are mastered to."""
SILENT_LUFS = -70.0
"""The meter's absolute gate: below it there is nothing to measure."""
MAX_GAIN_DB = 40.0
"""A title that is fainter than this below the target is noise, not a quiet master (our choice)."""
_INTEGRATED = "lavfi.r128.I"


def integrated_lufs(path: MediaSource, stream_index: int, limits: MediaLimits) -> float:
    """Integrated loudness of a sound track in LUFS; `SILENT_LUFS` for silence. Packets that do not decode are skipped.

    Raises:
        MediaError: the stream is not sound.
        UnusableMediaError: the file cannot be opened any more.
        InterruptedMediaError: decoding ran out of memory.
    """
    with open_container(path, limits) as container:
        stream = container.streams[stream_index]
        if not isinstance(stream, AvAudioStream):
            raise MediaError(f"stream {stream_index} is {stream.type}", rule="sound is read from an audio stream")
        meter = _Meter()
        try:
            for packet in packets(container, stream):
                try:
                    frames = packet.decode()
                except av.error.EOFError:
                    break
                except av.error.FFmpegError:
                    continue  # It has no sound to be measured; the pass over the shots counts and reports it.
                for frame in frames:
                    meter.hear(frame)
        except av.error.FFmpegError:
            # A damaged tail: what was heard before it is the title's loudness; the pass over its shots says what broke.
            return meter.lufs
        except MemoryError as error:
            raise InterruptedMediaError(
                "measuring loudness ran out of memory", rule="sound is read in bounds"
            ) from error
        return meter.lufs


def gain_to_target(lufs: float) -> float:
    """The factor that brings a title of `lufs` to `TARGET_LUFS`; 1.0 for silence."""
    if lufs <= SILENT_LUFS:
        return 1.0
    return float(10 ** (min(TARGET_LUFS - lufs, MAX_GAIN_DB) / 20))


class _Meter:
    """ffmpeg's `ebur128` over frames; a change of the sound's format in mid-stream is resampled to the first."""

    def __init__(self) -> None:
        self.lufs = SILENT_LUFS
        self._graph: Graph | None = None
        self._resampler: av.AudioResampler | None = None

    def hear(self, frame: av.AudioFrame) -> None:
        if not frame.samples or not frame.sample_rate:
            return
        if self._graph is None or self._resampler is None:
            self._resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
            self._graph = self._metering(frame)
        for resampled in self._resampler.resample(frame):
            resampled.pts = None
            self._graph.push(resampled)
        self._read()

    def _metering(self, frame: av.AudioFrame) -> Graph:
        graph = Graph()
        source = graph.add_abuffer(sample_rate=frame.sample_rate, format="flt", layout=frame.layout.name)
        meter, sink = graph.add("ebur128", "metadata=1:framelog=quiet"), graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        graph.configure()
        return graph

    def _read(self) -> None:
        assert self._graph is not None
        while True:
            try:
                measured = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            told = measured.metadata.get(_INTEGRATED)
            if told is not None:
                self.lufs = max(float(told), SILENT_LUFS)
