"""A saved probe ("head"): one task's linear probe with its calibration, thresholds, quality, and what it was made from.

Legend: N clips or shots, W width of a vector, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mediafm.errors import LineageMismatchError
from mediafm.probes.calibration import Sigmoid
from mediafm.probes.labels import LabelKind
from mediafm.probes.vectors import Flags, Floats
from mediafm.types import Json

SCORE_CLASS = "score"
"""The one class of a task of scores: its number ranks clips within a title and is no probability."""


@dataclass(frozen=True, kw_only=True)
class ClassQuality:
    """What a head reaches on one class, on clips of groups that it did not see.

    num_positive: clips with it. value, low, high: average precision with its 95 % interval over groups; None where it
    cannot be measured. chance: what equal scores reach. error_before, error_after: expected calibration error of the
    plain logistic scores and of the calibrated ones.
    """

    name: str
    num_positive: int
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    error_before: float
    error_after: float

    @property
    def is_above_chance(self) -> bool:
        """Whether the lower end of the interval is."""
        return self.low is not None and self.chance is not None and self.low > self.chance


@dataclass(frozen=True, kw_only=True)
class HeadQuality:
    """What a head reaches on clips of groups that it did not see: held out in turn, or test groups.

    measure: "macro average precision", "Kendall's tau-b", ... value, low, high, chance: as in `ClassQuality`.
    error_before, error_after: expected calibration error, mean over classes; None for tasks of scores.
    classes: one by one; empty for tasks of scores.
    """

    measure: str
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    error_before: float | None
    error_after: float | None
    num_clips: int
    num_groups: int
    classes: tuple[ClassQuality, ...] = ()

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @staticmethod
    def from_json(parsed: Mapping[str, Any]) -> HeadQuality:
        return HeadQuality(**{**parsed, "classes": tuple(ClassQuality(**each) for each in parsed["classes"])})


@dataclass(frozen=True, kw_only=True)
class HeadOrigin:
    """What a head was made from, and so what it may be laid on.

    name: people's name for it. features: which vectors it reads. pooling: how shots become a clip's vector.
    checkpoint_sha256, space_id: of the vectors. labels_sha256: of the label files.
    clips_by_unit: how many labels spoke of a shot, a span, a title.
    title_ids: the titles that had labels, those of test groups among them.
    num_seen_groups: groups among those it was fitted on that the checkpoint was trained on; None if not known.
    """

    name: str
    features: str
    pooling: str
    checkpoint_sha256: str
    space_id: str
    labels_sha256: str
    clips_by_unit: Mapping[str, int]
    title_ids: tuple[str, ...]
    num_seen_groups: int | None

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @staticmethod
    def from_json(parsed: Mapping[str, Any]) -> HeadOrigin:
        return HeadOrigin(**{**parsed, "title_ids": tuple(parsed["title_ids"])})


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """A fitted probe.

    task, kind, classes: what it tells; K classes.
    mean, scale: float64 [W], what vectors are standardised by. weights: float64 [W, K]. bias: float64 [K].
    calibration: K sigmoids, from plain scores to probabilities; of no use for tasks of scores.
    thresholds: K probabilities from which a class is tagged, or None: never (see `notes`).
    held_out: quality on groups held out in turn. tested: on test groups, which took no part; None if none had labels.
    origin: what it was made from. inverse_strength: the regularisation that was chosen.
    notes: what was left out or is doubtful, in sentences.
    """

    task: str
    kind: LabelKind
    classes: tuple[str, ...]
    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    calibration: tuple[Sigmoid, ...]
    thresholds: tuple[float | None, ...]
    held_out: HeadQuality
    origin: HeadOrigin
    inverse_strength: float
    tested: HeadQuality | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        width, num_classes = self.weights.shape
        shapes = (self.mean.shape, self.scale.shape, self.bias.shape)
        counts = {len(self.classes), len(self.calibration), len(self.thresholds)}
        if shapes != ((width,), (width,), (num_classes,)) or counts != {num_classes}:
            raise LineageMismatchError(
                f"weights {self.weights.shape}, mean, scale and bias {shapes}, {sorted(counts)} classes",
                rule="a head has weights [W, K], mean and scale [W], and K biases, sigmoids, thresholds and classes",
                where=f"probe {self.origin.name}",
            )

    @property
    def width(self) -> int:
        return len(self.mean)

    @property
    def has_probabilities(self) -> bool:
        return self.kind is not LabelKind.SCORE

    def log_odds(self, vectors: np.ndarray[Any, Any]) -> Floats:
        """Plain scores of [N, W] pooled vectors at length one; float64 [N, K].

        Raises:
            LineageMismatchError: vectors of another width.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.width:
            raise LineageMismatchError(
                f"vectors of shape {vectors.shape}",
                rule=f"the head reads vectors of width {self.width}",
                where=f"probe {self.origin.name}",
                remedy="Make the head again on the vectors that are served.",
            )
        found: Floats = (vectors.astype(np.float64) - self.mean) / self.scale @ self.weights + self.bias
        return found

    def predict(self, vectors: np.ndarray[Any, Any]) -> Floats:
        """Calibrated scores of [N, W] pooled vectors at length one; float64 [N, K], ranks for tasks of scores.

        Raises:
            LineageMismatchError: vectors of another width.
        """
        plain = self.log_odds(vectors)
        return calibrated(plain, self.calibration, self.kind) if self.has_probabilities else plain

    def tags(self, scores: Floats) -> Flags:
        """Which classes hold by `predict`'s scores; bool [N, K]. Of single labels the greatest; of scores none."""
        if self.kind is LabelKind.SCORE:
            return np.zeros(scores.shape, dtype=np.bool_)
        if self.kind is LabelKind.SINGLE_LABEL:
            return np.asarray(np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None], dtype=np.bool_)
        return scores >= np.array([np.inf if each is None else each for each in self.thresholds])


def calibrated(plain: Floats, calibration: tuple[Sigmoid, ...], kind: LabelKind) -> Floats:
    """Probabilities of plain scores [N, K]; those of a single label add up to one at most (our choice)."""
    columns = [sigmoid(column) for sigmoid, column in zip(calibration, plain.T, strict=True)]
    found = np.stack(columns, axis=1)
    if kind is LabelKind.SINGLE_LABEL:
        found = found / np.maximum(1.0, found.sum(axis=1, keepdims=True))
    return found
