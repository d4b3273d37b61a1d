"""A title's sound as the audio encoder reads it: shot by shot, at the title's loudness, silence left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.encoder import NO_SAMPLES, ShotAudio
from mediafm.extract.reader import MediaReader
from mediafm.media.audio import ShotSamples, is_silent
from mediafm.media.loudness import gain_to_target
from mediafm.steps.present import PresentTitle
from mediafm.steps.rows import spans_of
from mediafm.steps.workspace import Workspace

Samples = NDArray[np.float32]


def heard_shots(
    workspace: Workspace,
    reader: MediaReader,
    title: PresentTitle,
    margin_seconds: float = 0.0,
    notes: list[str] | None = None,
) -> Iterator[tuple[int, ShotAudio]]:
    """The shots that are not silent, in order: (shot index, sound).

    Args:
        margin_seconds: of the neighbours' sound on either side, for an encoder whose windows cross cuts. Of a shot
            longer than `audio.max_shot_seconds` only the middle is read, so that its neighbours lack that margin.
        notes: takes what the pass has to say of the sound (packets that do not decode), once it is over.
    """
    settings, info = workspace.config.audio, workspace.media_info(title)
    spans = spans_of(workspace.store.read(title.chain.identity("spans")))
    gain = np.float32(1.0)
    if workspace.profile.loudness == "title":
        gain = np.float32(gain_to_target(reader.loudness(title.path, info)))
    heard = reader.audio(title.path, info, spans, settings)
    shots = (ShotSamples(shot.index, shot.samples * gain) for shot in heard)
    is_whole = [span.duration_seconds <= settings.max_shot_seconds for span in spans]
    margin = round(margin_seconds * settings.sample_rate_hz)
    for shot, before, after in with_margins(shots, is_whole, margin):
        if not is_silent(shot.samples, settings):
            yield shot.index, ShotAudio(shot.samples, settings.sample_rate_hz, before, after)
    if notes is not None and heard.summary is not None:
        notes += heard.summary.notes


def with_margins(
    shots: Iterable[ShotSamples], is_whole: list[bool], num_samples: int
) -> Iterator[tuple[ShotSamples, Samples, Samples]]:
    """Each shot with up to `num_samples` of the sound before and after it; shorter at the ends and beside a shot that
    was not read whole. Holds no more than the shots that a margin reaches over."""
    if num_samples == 0:
        yield from ((shot, NO_SAMPLES, NO_SAMPLES) for shot in shots)
        return
    waiting: deque[tuple[ShotSamples, Samples]] = deque()
    before = NO_SAMPLES
    for shot in shots:
        waiting.append((shot, before))
        before = np.concatenate([before, shot.samples])[-num_samples:] if is_whole[shot.index] else NO_SAMPLES
        while len(waiting) > 1 and _reaches(waiting, is_whole, num_samples):
            yield _with_after(waiting, is_whole, num_samples)
    while waiting:
        yield _with_after(waiting, is_whole, num_samples)


def _reaches(waiting: deque[tuple[ShotSamples, Samples]], is_whole: list[bool], num_samples: int) -> bool:
    """Whether the sound behind the first shot fills its margin, or ends at a shot that was not read whole."""
    num_behind = 0
    for shot, _ in list(waiting)[1:]:
        if not is_whole[shot.index]:
            return True
        num_behind += len(shot.samples)
    return num_behind >= num_samples


def _with_after(
    waiting: deque[tuple[ShotSamples, Samples]], is_whole: list[bool], num_samples: int
) -> tuple[ShotSamples, Samples, Samples]:
    shot, before = waiting.popleft()
    if not is_whole[shot.index]:
        return shot, NO_SAMPLES, NO_SAMPLES
    pieces, num_found = [NO_SAMPLES], 0
    for later, _ in waiting:
        if num_found >= num_samples or not is_whole[later.index]:
            break
        pieces.append(later.samples)
        num_found += len(later.samples)
    return shot, before, np.concatenate(pieces)[:num_samples]
