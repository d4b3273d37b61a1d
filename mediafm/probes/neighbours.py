"""Do shots that look alike to an embedding stand close together? A measure that needs no labels.

For each shot its nearest neighbour by cosine is sought within its title, the shot itself and the adjacent ones left
out; it counts when it lies within ten shots. Our choice, after the observation that scenes are runs of shots.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mediafm.probes.intervals import mean_interval
from mediafm.probes.vectors import Flags, Floats, Indexes, TitleVectors, Vectors, unit_rows
from mediafm.types import Json


@dataclass(frozen=True, kw_only=True)
class NeighbourSettings:
    """What counts as near.

    within_shots: a neighbour at most this many shots away counts.
    adjacent_shots: shots at most this many away are not asked: the cut's two sides often show the same.
    tie_tolerance: cosines this close are equal, and the shot counts by the share of hits among them.
    chunk_cells: cells of the similarity matrix held at once.
    """

    within_shots: int = 10
    adjacent_shots: int = 1
    tie_tolerance: float = 1e-6
    chunk_cells: int = 2_000_000
    num_bootstrap: int = 1000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class NeighbourReport:
    """Share of shots whose nearest neighbour lies near, macro mean over titles, and what chance would give.

    share, chance: None where no title can be asked. low, high: 95 %, None below two titles.
    num_titles, num_shots: how many were asked. num_titles_left_out: too short for the question.
    """

    share: float | None
    chance: float | None
    low: float | None
    high: float | None
    num_titles: int
    num_shots: int
    num_titles_left_out: int

    def as_json(self) -> dict[str, Json]:
        return {
            "share": self.share,
            "chance": self.chance,
            "low": self.low,
            "high": self.high,
            "num_titles": self.num_titles,
            "num_shots": self.num_shots,
            "num_titles_left_out": self.num_titles_left_out,
        }


@dataclass(frozen=True, slots=True)
class _TitleShare:
    share: float
    chance: float
    num_shots: int


def neighbour_share(
    titles: Iterable[TitleVectors], settings: NeighbourSettings = NeighbourSettings()
) -> NeighbourReport:
    """The share over `titles`, of any vectors; absent shots neither ask nor answer. Titles are read one at a time.

    A title in which every possible answer would count (it is too short) is left out: it cannot tell good from bad.
    """
    asked = [_title_share(title, settings) for title in titles]
    measured = [found for found in asked if found is not None]
    if not measured:
        return NeighbourReport(
            share=None, chance=None, low=None, high=None, num_titles=0, num_shots=0, num_titles_left_out=len(asked)
        )
    shares = np.array([title.share for title in measured])
    mean = mean_interval(shares, settings.num_bootstrap, np.random.default_rng(settings.seed), 0.0, 1.0)
    return NeighbourReport(
        share=mean.value,
        chance=float(np.mean([title.chance for title in measured])),
        low=mean.low,
        high=mean.high,
        num_titles=len(measured),
        num_shots=sum(title.num_shots for title in measured),
        num_titles_left_out=len(asked) - len(measured),
    )


def _title_share(title: TitleVectors, settings: NeighbourSettings) -> _TitleShare | None:
    positions = np.flatnonzero(title.is_present)
    unit_NW = unit_rows(title.vectors[positions])
    hits: list[Floats] = []
    chances: list[Floats] = []
    num_rows = max(1, settings.chunk_cells // max(1, len(positions)))
    for start in range(0, len(positions), num_rows):
        rows = slice(start, start + num_rows)
        is_candidate, is_near = _masks(positions[rows], positions, settings)
        num_candidates = is_candidate.sum(axis=1)
        asks = num_candidates > 0
        chances.append(is_near.sum(axis=1)[asks] / num_candidates[asks])
        hits.append(_hit_shares(unit_NW[rows][asks], unit_NW, is_candidate[asks], is_near[asks], settings))
    chance = np.concatenate(chances) if chances else np.zeros(0)
    if not len(chance) or (chance == 1).all():
        return None
    return _TitleShare(float(np.concatenate(hits).mean()), float(chance.mean()), len(chance))


def _masks(asking: Indexes, positions: Indexes, settings: NeighbourSettings) -> tuple[Flags, Flags]:
    distance = np.abs(asking[:, None] - positions[None, :])
    is_candidate = distance > settings.adjacent_shots
    return is_candidate, is_candidate & (distance <= settings.within_shots)


def _hit_shares(
    asking: Vectors, unit_NW: Vectors, is_candidate: Flags, is_near: Flags, settings: NeighbourSettings
) -> Floats:
    """Per asking shot the share of its equally near neighbours that count: 0 or 1 unless there are ties."""
    cosine = np.where(is_candidate, asking @ unit_NW.T, -np.inf)
    is_nearest = cosine >= cosine.max(axis=1, keepdims=True, initial=-np.inf) - settings.tie_tolerance
    is_nearest &= is_candidate
    share: Floats = (is_nearest & is_near).sum(axis=1) / np.maximum(is_nearest.sum(axis=1), 1)
    return share
