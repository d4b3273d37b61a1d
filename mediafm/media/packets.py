"""What one stream's packets say of themselves: hash, times, number. Nothing of the header is believed."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, TypeAlias

import av
import numpy as np
from av.stream import Stream
from av.video.frame import VideoFrame
from numpy.typing import NDArray

VFR_TOLERANCE_SHARE = 0.05
VFR_TOLERANCE_TICKS = 1.5
VFR_SHARE_OF_INTERVALS = 0.01
"""Our choice: a rate is variable if over 1 % of the intervals leave the median by more than 5 % and 1.5 ticks."""

_ALPHA: Final = "matroska_block_additional"
"""Where WebM keeps a picture's transparency: most of a file's bytes may stand there."""

AnyPacket: TypeAlias = "av.Packet[Stream]"


class PacketTally:
    """Counts, times and hashes the packets of one stream, in the order in which they stand in the file."""

    def __init__(self, stream: Stream) -> None:
        self.time_base = stream.time_base or Fraction(1, 1_000_000)
        self.num_packets = 0
        self.num_shown = 0
        self.num_damaged = 0
        self.num_bytes = 0
        self.is_encrypted = False
        self._times = array("q")
        self._last_end = -(2**62)
        self._hash = hashlib.sha256()
        context: object = stream.codec_context  # None where FFmpeg has no decoder
        codec = getattr(getattr(context, "codec", None), "canonical_name", None)
        self._hash.update(f"{codec} {self.time_base}".encode())
        self._hash.update(getattr(context, "extradata", None) or b"")

    def add(self, packet: AnyPacket) -> None:
        """Takes in one packet; an empty one (the end of the stream) counts for nothing."""
        if not packet.size:
            return
        self.num_packets += 1
        self.num_damaged += packet.is_corrupt
        self.num_bytes += packet.size
        if packet.has_sidedata(_ALPHA):
            self.num_bytes += packet.get_sidedata(_ALPHA).data_size
        self._hash.update(f"|{packet.pts} {packet.size} ".encode())
        self._hash.update(packet)
        if packet.has_sidedata("encryption_info"):
            self.is_encrypted = True
        time = packet.pts if packet.pts is not None else packet.dts
        if packet.is_discard or time is None:
            return
        self.num_shown += 1
        self._times.append(time)
        self._last_end = max(self._last_end, time + (packet.duration or 0))

    def add_facts(self, facts: str) -> None:
        """Lets the hash cover what stands outside the packets but changes what they show."""
        self._hash.update(facts.encode())

    @property
    def sha256(self) -> str:
        """Of the codec, its set-up, and every packet's time and bytes; "" without packets."""
        return self._hash.hexdigest() if self.num_packets else ""

    @property
    def start_seconds(self) -> float:
        return float(min(self._times) * self.time_base) if self._times else 0.0

    @property
    def end_seconds(self) -> float:
        """Where the last packet ends; a last packet without a duration lasts as long as the one before it."""
        if not self._times:
            return 0.0
        last = max(self._times)
        if self._last_end > last or len(self._times) < 2:
            return float(max(self._last_end, last + 1) * self.time_base)
        return float(last * self.time_base) + float(np.median(self._intervals_seconds()))

    def latest_seconds(self) -> float:
        """How far the packets have come; cheap enough to ask for at every packet."""
        return float((self._last_end - self._times[0]) * self.time_base) if self._times else 0.0

    def rate(self) -> tuple[float | None, bool]:
        """Average packets a second (None for fewer than two), and whether the intervals vary."""
        intervals = self._intervals_seconds()
        if not len(intervals) or intervals.sum() <= 0:
            return None, False
        median = float(np.median(intervals))
        allowed = max(VFR_TOLERANCE_SHARE * median, VFR_TOLERANCE_TICKS * float(self.time_base))
        share_off = float((np.abs(intervals - median) > allowed).mean())
        return len(intervals) / float(intervals.sum()), share_off > VFR_SHARE_OF_INTERVALS

    def _intervals_seconds(self) -> NDArray[np.float64]:
        times = np.sort(np.frombuffer(self._times, np.int64)) if self._times else np.zeros(0, np.int64)
        return np.diff(times).astype(np.float64) * float(self.time_base)


@dataclass
class PacketReading:
    """What the one pass over the packets found, by stream index."""

    tallies: dict[int, PacketTally]
    first_frames: dict[int, VideoFrame] = field(default_factory=dict)
    decode_errors: dict[int, str] = field(default_factory=dict)
    demux_error: str = ""
