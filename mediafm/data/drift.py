"""Whether the titles that came later are still like those that were trained on: a test between two samples.

The unit is a group of titles (a series, else a title), because shots of one title are anything but independent: a test
over shots would call every new title a drift. A group is the mean of its shots' vectors.

- *Two-sample statistic*: the energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| of Székely and Rizzo ("Testing for
  equal distributions in high dimension", InterStat, 2004), unbiased (no point is paired with itself), with the
  permutation test that they give, and (b + 1) / (m + 1) as its p-value (Phipson and Smyth, "Permutation p-values should
  never be zero", 2010), so that its level holds at any number of permutations. As an effect size the energy
  coefficient, the distance over 2 E|X - Y|, from 0 (alike) to 1 (Székely and Rizzo, "Energy statistics", 2013).
- *Mean shift* of a modality: the distance between the means of its unit blocks, its expectation under no drift taken
  off, in standard deviations: a multivariate d of Cohen ("Statistical power analysis", 1988), pooled over coordinates.

A drift is one that chance does not explain and that is large enough to matter: the second alone fires on noise, the
first alone on trifles once a catalogue is large. That rule and its thresholds are our choice.

Legend: N shots, G groups, E fused width, W width of a modality, T groups of both sides, P permutations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from mediafm.automation import DriftSettings
from mediafm.data.sequences import TitleSequence
from mediafm.errors import ConfigError
from mediafm.types import Json, Modality

Vectors = NDArray[np.float64]
MIN_MODALITY_GROUPS = 5
"""Groups that show a modality, on each side, below which its mean shift is not told (our choice)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupMeans:
    """One side of the comparison.

    fused: float64 [G, E], the mean fused vector of each group.
    blocks: for each modality float64 [G', W], the mean unit block of the groups that show it.
    num_titles: that were read.
    """

    fused: Vectors
    blocks: Mapping[Modality, Vectors]
    num_titles: int

    @property
    def num_groups(self) -> int:
        return len(self.fused)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the comparison found.

    p_value: of the energy test. energy: the coefficient, about 0 where nothing drifted, at most 1.
    mean_shift: by modality, in standard deviations; None where too few groups show it, or where they are all alike.
    share_shown: by modality, the share of groups that show it, before and after.
    """

    num_before: int
    num_after: int
    p_value: float
    energy: float
    mean_shift: Mapping[str, float | None] = field(default_factory=dict)
    share_shown: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def reason(self, settings: DriftSettings) -> str:
        """Why this is a drift, a clause; "" if it is none."""
        if self.p_value > settings.alpha:
            return ""
        large = [
            f"mean of {modality} moved by {shift:.2f} standard deviations"
            for modality, shift in self.mean_shift.items()
            if shift is not None and shift >= settings.min_mean_shift
        ]
        if self.energy >= settings.min_energy:
            large.append(f"energy coefficient {self.energy:.2f}")
        return f"{'; '.join(large)} (p = {self.p_value:.3g})" if large else ""

    def as_json(self) -> dict[str, Json]:
        shares: dict[str, Json] = {name: list(shares) for name, shares in self.share_shown.items()}
        return {**asdict(self), "mean_shift": dict(self.mean_shift), "share_shown": shares}


def group_means(
    titles: Iterable[tuple[str, TitleSequence]], slices: Mapping[Modality, slice], width: int
) -> GroupMeans:
    """Reads titles one at a time; memory grows with the number of groups, never with that of shots.

    Args:
        titles: each title's group, and its shots that have a vector.
        slices: where each modality lies in a fused vector.
        width: E.
    """
    sums: dict[str, _Sums] = {}
    num_titles = 0
    for group_id, sequence in titles:
        if sequence.num_shots:
            sums.setdefault(group_id, _Sums(width)).add(sequence, slices)
            num_titles += 1
    ordered = [sums[group_id] for group_id in sorted(sums)]
    return GroupMeans(
        fused=np.array([one.fused / one.num_shots for one in ordered]).reshape(-1, width),
        blocks={
            modality: np.array(
                [one.blocks[part] / one.num_shown[modality] for one in ordered if one.num_shown[modality]]
            ).reshape(-1, part.stop - part.start)
            for modality, part in slices.items()
        },
        num_titles=num_titles,
    )


def measure_drift(before: GroupMeans, after: GroupMeans, num_permutations: int, rng: np.random.Generator) -> Drift:
    """Compares two sides. Raises `ConfigError`: fewer than two groups on one of them, or vectors of two widths."""
    if min(before.num_groups, after.num_groups) < 2 or before.fused.shape[1] != after.fused.shape[1]:
        raise ConfigError(
            f"groups of shape {before.fused.shape} and {after.fused.shape}",
            rule="a comparison has at least two groups on each side, in one space",
            where="drift",
        )
    p_value, energy = _energy_test(before.fused, after.fused, num_permutations, rng)
    return Drift(
        num_before=before.num_groups,
        num_after=after.num_groups,
        p_value=p_value,
        energy=energy,
        mean_shift={str(name): _mean_shift(before.blocks[name], after.blocks[name]) for name in before.blocks},
        share_shown={
            str(name): (len(before.blocks[name]) / before.num_groups, len(after.blocks[name]) / after.num_groups)
            for name in before.blocks
        },
    )


class _Sums:
    """A group's running sums."""

    def __init__(self, width: int) -> None:
        self.fused = np.zeros(width)
        self.blocks = np.zeros(width)
        self.num_shots = 0
        self.num_shown = dict.fromkeys(Modality, 0)

    def add(self, sequence: TitleSequence, slices: Mapping[Modality, slice]) -> None:
        fused_NE = np.asarray(sequence.fused, np.float64)
        self.fused += fused_NE.sum(axis=0)
        self.num_shots += len(fused_NE)
        for column, modality in enumerate(Modality):
            block_NW = fused_NE[sequence.is_present[:, column], slices[modality]]
            norm_N = np.linalg.norm(block_NW, axis=1, keepdims=True)
            self.blocks[slices[modality]] += (block_NW / np.where(norm_N > 0, norm_N, 1.0)).sum(axis=0)
            self.num_shown[modality] += len(block_NW)


def _energy_test(
    before_GE: Vectors, after_GE: Vectors, num_permutations: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The p-value and the coefficient."""
    num_before, num_after = len(before_GE), len(after_GE)
    distance_TT = _distances(np.concatenate([before_GE, after_GE]))
    labels_TP = np.zeros((num_before + num_after, num_permutations + 1))
    labels_TP[num_before:, 0] = 1.0
    for column in range(1, num_permutations + 1):
        labels_TP[rng.permutation(len(labels_TP))[:num_after], column] = 1.0
    row_T = distance_TT.sum(axis=1)
    after_P = np.einsum("tp,tp->p", labels_TP, distance_TT @ labels_TP)
    across_P = row_T @ labels_TP - after_P
    before_P = row_T.sum() - 2 * across_P - after_P
    apart_P = 2 * across_P / (num_before * num_after)
    within_P = before_P / (num_before * (num_before - 1)) + after_P / (num_after * (num_after - 1))
    energy_P = apart_P - within_P
    is_as_large = energy_P[1:] >= energy_P[0] - 1e-12 * max(1.0, abs(energy_P[0]))
    p_value = (1 + int(is_as_large.sum())) / (num_permutations + 1)
    return p_value, float(energy_P[0] / apart_P[0]) if apart_P[0] > 0 else 0.0


def _distances(points_TE: Vectors) -> Vectors:
    """Euclidean distances between all pairs [T, T]; exactly 0 on the diagonal."""
    squared_T = (points_TE**2).sum(axis=1)
    squared_TT = squared_T[:, None] + squared_T[None, :] - 2 * points_TE @ points_TE.T
    np.fill_diagonal(squared_TT, 0.0)
    return np.asarray(np.sqrt(np.maximum(squared_TT, 0.0)))


def _mean_shift(before_GW: Vectors, after_GW: Vectors) -> float | None:
    num_before, num_after = len(before_GW), len(after_GW)
    if min(num_before, num_after) < MIN_MODALITY_GROUPS:
        return None
    spread_before = float(before_GW.var(axis=0, ddof=1).sum())
    spread_after = float(after_GW.var(axis=0, ddof=1).sum())
    squared = float(((before_GW.mean(axis=0) - after_GW.mean(axis=0)) ** 2).sum())
    squared = max(0.0, squared - spread_before / num_before - spread_after / num_after)
    pooled = ((num_before - 1) * spread_before + (num_after - 1) * spread_after) / (num_before + num_after - 2)
    if pooled <= 0:
        return 0.0 if squared <= 0 else None
    return float(np.sqrt(squared / pooled))
