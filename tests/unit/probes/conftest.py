"""A small catalogue of labelled clips whose vectors hold, or do not hold, what the labels say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from mediafm.probes.label_rows import LabelValue
from mediafm.probes.labels import LabelKind, LabelRow, Labels, LabelSet
from mediafm.probes.vectors import TitleShots, TitleVectors
from mediafm.types import Span

SHOT_SECONDS = 2.0


@dataclass(frozen=True)
class Catalogue:
    """Titles of `shots_per_title` shots of two seconds; `known` knows the hidden truth.

    Every shot is a clip; in tasks of pairs every shot but a title's last one, with the next.
    """

    shots: list[TitleShots]
    known: list[TitleVectors]
    unknown: list[TitleVectors]
    truth: np.ndarray  # [titles, shots, 3]

    def labels(self, task: str, kind: LabelKind, value: Callable[[int, int], LabelValue]) -> Labels:
        is_pair = kind is LabelKind.PAIR
        rows = [
            LabelRow(
                title_id=title.title_id,
                task=task,
                span=None if is_pair else Span(shot * SHOT_SECONDS, (shot + 1) * SHOT_SECONDS),
                shot_index=shot if is_pair else None,
                value=value(number, shot),
                annotator="",
                where=f"{task}.jsonl:{number * title.num_shots + shot + 1}",
                is_pair=is_pair,
            )
            for number, title in enumerate(self.shots)
            for shot in range(title.num_shots - is_pair)
        ]
        return Labels(sets=(LabelSet(task=task, kind=kind, rows=tuple(rows)),), problems=(), sha256="0" * 64)


def make_catalogue(num_titles: int = 10, shots_per_title: int = 12, width: int = 24, seed: int = 0) -> Catalogue:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(num_titles, shots_per_title, 3))
    mixing = rng.normal(size=(3, width))
    starts = np.arange(shots_per_title) * SHOT_SECONDS
    shots, known, unknown = [], [], []
    for number in range(num_titles):
        name = f"title-{number}"
        present = np.ones(shots_per_title, dtype=bool)
        offset = rng.normal(size=width)
        noise = rng.normal(size=(2, shots_per_title, width)).astype(np.float32)
        shots.append(TitleShots(title_id=name, group_id=name, start_seconds=starts, end_seconds=starts + SHOT_SECONDS))
        seen = (truth[number] @ mixing + 0.3 * noise[0] + 0.3 * offset).astype(np.float32)
        known.append(TitleVectors(title_id=name, vectors=seen, is_present=present))
        unknown.append(TitleVectors(title_id=name, vectors=noise[1] + offset.astype(np.float32), is_present=present))
    return Catalogue(shots, known, unknown, truth)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return make_catalogue()


@pytest.fixture(scope="session")
def catalogue_maker() -> Callable[..., Catalogue]:
    return make_catalogue
