"""Which shots, and which modalities of a shot, a training step hides from the model.

Published (Netflix, "MediaFM", 23 February 2026): 20 % of a sequence's shots are replaced by a learned [MASK]. Our
choice: exactly `max(1, round(share * n))` of them, from a generator that is given. Options, each off unless asked for:
- span masks: hidden shots come in runs (SpanBERT, Joshi et al. 2020, section 3.1, with lengths from a geometric
  distribution; wav2vec 2.0, Baevski et al. 2020); ours: exactly as many shots as without, in as many runs as give the
  mean length, all ways to divide them equally likely: nearly geometric where there are many.
- per-modality masks: single modalities of shots that stay visible are hidden as well and are to be predicted (after
  4M, Mizrahi et al. 2023, which draws how much of each modality is seen; ours is one share for all three).
- modality dropout: a sequence is read without one modality; what is not hidden besides is not predicted for that
  (after AV-HuBERT, Shi et al. 2022, whose dropout leaves the audio or the video stream alone).

A hidden modality of a visible shot looks to the model as one that the shot never had. n shots, 3 modalities.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import ConfigError
from mediafm.types import Json

NUM_MODALITIES = 3
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """What is hidden.

    share: of a sequence's shots that are masked whole; 0.2 as published.
    shape: "random" shots, or "span": runs of neighbours.
    span_shots: mean length of a run.
    modality_share: of the modalities of the other shots that are hidden one by one.
    modality_drop_share: of sequences that lose one modality, drawn evenly.
    """

    share: float = 0.2
    shape: Literal["random", "span"] = "random"
    span_shots: float = 4.0
    modality_share: float = 0.0
    modality_drop_share: float = 0.0

    def __post_init__(self) -> None:
        is_possible = (
            0 < self.share < 1
            and self.shape in ("random", "span")
            and self.span_shots >= 1
            and 0 <= self.modality_share < 1
            and 0 <= self.modality_drop_share <= 1
        )
        if not is_possible:
            raise ConfigError(
                f"{self.as_json()}",
                rule="share lies in (0, 1), modality_share in [0, 1), modality_drop_share in [0, 1], "
                "shape is random or span, a run has shots",
                where="training objective, masks",
            )

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Mask:
    """What one sequence hides in one step.

    is_masked: bool [n]; shots hidden whole, at least one True.
    is_hidden: bool [n, 3]; modalities to be predicted: all of a masked shot's, single ones of others.
    is_dropped: bool [3]; modalities that the sequence does without; never all.
    """

    is_masked: Flags
    is_hidden: Flags
    is_dropped: Flags

    @classmethod
    def whole(cls, is_masked: Flags) -> Mask:
        """The mask that hides these shots and nothing else."""
        return cls(is_masked, np.repeat(is_masked[:, None], NUM_MODALITIES, axis=1), np.zeros(NUM_MODALITIES, np.bool_))


def num_masked(num_shots: int, share: float) -> int:
    """How many of `num_shots` are masked; at least one of a sequence that has any."""
    return min(num_shots, max(1, round(share * num_shots)))


def draw_mask(num_shots: int, share: float, rng: np.random.Generator) -> Flags:
    """bool [num_shots]: True for the masked shots, drawn uniformly without replacement."""
    is_masked = np.zeros(num_shots, np.bool_)
    is_masked[rng.choice(num_shots, num_masked(num_shots, share), replace=False)] = True
    return is_masked


def draw_spans(num_shots: int, share: float, span_shots: float, rng: np.random.Generator) -> Flags:
    """bool [num_shots]: as many as `draw_mask`, in runs of mean length `span_shots`, as near as whole runs come to it.

    Runs and the gaps between them are drawn on a ring, so that no place is hidden more often than another; where the
    ring is cut, a run may fall into two.
    """
    num_hidden = num_masked(num_shots, share)
    num_free = num_shots - num_hidden
    if not num_free:
        return np.ones(num_shots, np.bool_)
    num_runs = min(max(1, round(num_hidden / span_shots)), num_free)
    lengths = np.stack([_parts(num_hidden, num_runs, rng), _parts(num_free, num_runs, rng)], axis=1).ravel()
    ring: Flags = np.repeat(np.arange(2 * num_runs) % 2 == 0, lengths)
    return np.roll(ring, int(rng.integers(num_shots)))


def _parts(total: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` positive numbers that add up to `total`, each way of doing so equally likely."""
    cuts = np.sort(rng.choice(total - 1, count - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]])).astype(np.int64)


def draw(num_shots: int, config: MaskConfig, rng: np.random.Generator) -> Mask:
    """One sequence's mask. Options that are off draw nothing."""
    if config.shape == "span":
        is_masked = draw_spans(num_shots, config.share, config.span_shots, rng)
    else:
        is_masked = draw_mask(num_shots, config.share, rng)
    mask = Mask.whole(is_masked)
    is_hidden, is_dropped = mask.is_hidden, mask.is_dropped
    if config.modality_share > 0:
        is_hidden = is_hidden | (rng.random(is_hidden.shape) < config.modality_share)
    if config.modality_drop_share > 0 and rng.random() < config.modality_drop_share:
        is_dropped = np.arange(NUM_MODALITIES) == rng.integers(NUM_MODALITIES)
    return Mask(is_masked, is_hidden, is_dropped)


def draw_unread(shares: tuple[float, float, float], rng: np.random.Generator) -> Flags:
    """bool [3]: the modalities that one reader of one sequence does without (AV-data2vec's modality scheduler).

    Args:
        shares: how often all three, two, or one are read; need not add up to 1.
    """
    num_unread = int(rng.choice(NUM_MODALITIES, p=np.array(shares) / sum(shares)))
    is_unread = np.zeros(NUM_MODALITIES, np.bool_)
    is_unread[rng.choice(NUM_MODALITIES, num_unread, replace=False)] = True
    return is_unread
