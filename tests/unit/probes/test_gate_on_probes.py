"""The gate's question put to real probes: fitted on training groups, judged on test groups, candidate by champion."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm.config import GateSettings, ProbeSettings
from mediafm.probes.clips import Clip, ClipVectors, TaskClips
from mediafm.probes.design import TaskDesign, design_task
from mediafm.probes.labels import LabelKind
from mediafm.probes.measure import measure
from mediafm.probes.noninferiority import GateRules, GateTask, judge_measured

RULES = GateRules(settings=GateSettings(), test_share=0.5)
NUM_GROUPS, CLIPS_PER_GROUP, WIDTH = 80, 16, 6
TEST_GROUPS = frozenset(f"g{number}" for number in range(0, NUM_GROUPS, 2))
NUM_CATALOGUES = 8
SHARED, EQUAL, WORSE = 0.6, 0.25, 0.85
"""Noise that both checkpoints' vectors have in common (they read the same fused vectors), and each one's own."""


def design_of(rng: np.random.Generator, is_known: bool) -> tuple[TaskDesign, np.ndarray]:
    """A binary task over 40 training and 40 test groups, and what tells its answer: float64 [C], or nothing does."""
    hidden = rng.normal(size=(NUM_GROUPS, CLIPS_PER_GROUP))
    told = hidden if is_known else rng.normal(size=hidden.shape)
    clips = tuple(
        Clip(
            title_id=f"g{group}",
            group_id=f"g{group}",
            shot_index=np.array([number]),
            weight=np.ones(1),
            value=bool(hidden[group, number] > 0.5),
            where=f"{group}:{number}",
        )
        for group in range(NUM_GROUPS)
        for number in range(CLIPS_PER_GROUP)
    )
    task = TaskClips(task="worthy", kind=LabelKind.BINARY, clips=clips, dropped=())
    return design_task(task, ProbeSettings(num_bootstrap=200), TEST_GROUPS), told.ravel()


def vectors_of(seen: np.ndarray, noise: float, rng: np.random.Generator) -> list[ClipVectors]:
    """A checkpoint's vectors of the clips, which tell what was seen through this much noise of its own."""
    rows = np.column_stack([seen + noise * rng.normal(size=len(seen)), rng.normal(size=(len(seen), WIDTH - 1))])
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return [ClipVectors(vectors=unit, is_present=np.ones(len(seen), dtype=np.bool_))]


def judged(seed: int, noise: float, is_known: bool = True) -> GateTask:
    rng = np.random.default_rng(seed)
    design, told = design_of(rng, is_known)
    assert not design.impossible
    (name,) = design.measures
    seen = told + SHARED * rng.normal(size=len(told))
    ours, theirs = (measure(design, vectors_of(seen, each, rng)).measured[name] for each in (noise, EQUAL))
    return judge_measured(design.task.task, name, ours, theirs, design.num_groups, RULES)


@pytest.fixture(scope="module")
def worse() -> list[GateTask]:
    return [judged(seed, WORSE) for seed in range(NUM_CATALOGUES)]


def test_a_candidate_that_is_worse_by_a_tenth_never_passes(worse: list[GateTask]) -> None:
    differences = [task.difference for task in worse if task.difference is not None]
    assert -0.14 < np.mean(differences) < -0.07, "it truly is worse by about a tenth"
    assert {task.num_test_groups for task in worse} == {40}
    assert not [task for task in worse if task.verdict == "not_inferior"]


def test_the_half_width_is_what_differences_scatter_by(worse: list[GateTask]) -> None:
    """Over catalogues drawn anew, fits and all: a one-sided 95 % bound is 1.68 standard deviations away."""
    scatter = 1.68 * np.std([task.difference for task in worse], ddof=1)
    shown = np.mean([task.half_width for task in worse])
    assert 0.6 < shown / scatter < 1.7


def test_an_equal_candidate_mostly_passes() -> None:
    verdicts = [judged(100 + seed, EQUAL).verdict for seed in range(NUM_CATALOGUES)]
    assert verdicts.count("not_inferior") > NUM_CATALOGUES / 2


def test_a_label_that_is_noise_lets_nobody_through() -> None:
    """However narrow the interval: both are at chance, and the task has shown nothing."""
    found = [judged(200 + seed, EQUAL, is_known=False) for seed in range(NUM_CATALOGUES)]
    assert not [task for task in found if task.verdict == "not_inferior"]
    blind = [task for task in found if "neither is above chance" in task.reason]
    assert len(blind) >= 3
    assert {task.num_titles_more for task in blind} == {None}
