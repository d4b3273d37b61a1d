"""What the gate hears: candidate and champion on the labelled test groups, by probes fitted on all other groups.

Without [GLOBAL]'s metadata, on the same clips, with the same drawn groups: a paired comparison, each in its own space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mediafm.config import ProbeSettings
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.probes.clips import TaskClips
from mediafm.probes.compare import TaskResults, measure_tasks
from mediafm.probes.feature_sets import OWN, FeatureSet, shot_sets
from mediafm.probes.labels import Labels
from mediafm.probes.noninferiority import GateRules, GateTask, judge_measured, unmeasured
from mediafm.steps.compared import embedder_of, groups_of_split
from mediafm.steps.features import contextual_features, groups_by_title
from mediafm.steps.gate import labelled_test_set
from mediafm.steps.present import PresentTitle
from mediafm.steps.workspace import Workspace
from mediafm.train.checkpoint import Checkpoint
from mediafm.types import Json

CANDIDATE, CHAMPION = "candidate", "champion"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A checkpoint, what it was trained on, and the titles that it is judged on, as its own space has them."""

    checkpoint: Checkpoint
    manifest: TrainingManifest
    titles: Sequence[PresentTitle]


@dataclass(frozen=True, kw_only=True)
class GateHearing:
    """What was measured for the gate. test_set: on which labels and groups, see `labelled_test_set`."""

    tasks: tuple[GateTask, ...]
    test_set: str

    def as_json(self) -> dict[str, Json]:
        return {"tasks": [task.as_json() for task in self.tasks], "test_set": self.test_set}


def hear(
    workspace: Workspace,
    labels: Labels,
    clips: Sequence[TaskClips],
    candidate: Contender,
    champion: Contender,
    rules: GateRules,
) -> GateHearing:
    """Measures candidate and champion on every gated task.

    Test groups are those of the candidate's manifest; a group that the champion was trained on is none of them.
    """
    test_groups = judging_groups(candidate.manifest, champion.manifest, groups_by_title(candidate.titles))
    gated = [task for task in clips if rules.gates(task.task)]
    settings: ProbeSettings = workspace.config.probes.model_copy(update={"common_width": 0})
    results = measure_tasks(
        gated,
        [_line(workspace, CANDIDATE, candidate), _line(workspace, CHAMPION, champion)],
        settings,
        test_groups,
        progress=workspace.progress.advance,
    )
    labelled = {group for task in gated for group in task.groups} & test_groups
    judged = [one for result in results for one in _judged(result, test_groups, rules)]
    return GateHearing(tasks=tuple(judged), test_set=labelled_test_set(labels.sha256, labelled))


def judging_groups(
    candidate: TrainingManifest, champion: TrainingManifest, groups: Mapping[str, str]
) -> frozenset[str]:
    """The groups that judge: of the test split, and seen by neither checkpoint in training or validation.

    Args:
        groups: title -> its group, of `groups_by_title`.
    """
    test = groups_of_split(candidate, Split.TEST, groups)
    for manifest in (candidate, champion):
        for split in (Split.TRAIN, Split.VALIDATION):
            test -= groups_of_split(manifest, split, groups)
    return test


def _line(workspace: Workspace, name: str, contender: Contender) -> FeatureSet:
    embedder = embedder_of(workspace, contender.checkpoint)
    source = shot_sets(contextual_features(workspace, contender.titles, embedder, with_metadata=False))[OWN]
    return FeatureSet(name=name, source=source, is_baseline=False)


def _judged(result: TaskResults, test_groups: frozenset[str], rules: GateRules) -> list[GateTask]:
    design = result.design
    if design.impossible:
        num_groups = len(set(design.task.groups) & test_groups)
        return [unmeasured(design.task.task, "", design.impossible, num_groups, rules)]
    ours, theirs = result.results[CANDIDATE].measured, result.results[CHAMPION].measured
    return [
        judge_measured(design.task.task, measure, ours[measure], theirs[measure], design.num_groups, rules)
        for measure in design.measures
    ]
