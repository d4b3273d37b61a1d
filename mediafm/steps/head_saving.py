"""Saves a probe: one task of the labels on the contextual vectors that readers get, without the test groups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from mediafm.catalog.title import Problem
from mediafm.data.manifest import TrainingManifest
from mediafm.data.manifest_files import from_files as manifest_from_files
from mediafm.data.split import MIN_GROUPS, Shares, Split, join_groups, split_groups
from mediafm.errors import ConfigError
from mediafm.probes.clips import ClipVectors, TaskClips, clip_vectors, find_clips
from mediafm.probes.head import Head, HeadOrigin
from mediafm.probes.head_fit import fit_head
from mediafm.probes.head_quality import quality_on
from mediafm.probes.labels import Labels, LabelSet
from mediafm.probes.vectors import Flags
from mediafm.steps.heads import SavedHead, check_name, keep_head
from mediafm.steps.stored_context import StoredContext
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import MANIFESTS, folder_key, read_folder
from mediafm.store.views import newest_rows
from mediafm.types import TitleState

FEATURES = "contextual"


@dataclass(frozen=True, kw_only=True)
class RootGroups:
    """joined: group -> the least of the groups that share a file with it. tests: the joined groups that train nothing.

    note: why there are no test groups; "" if there are.
    """

    joined: dict[str, str]
    tests: frozenset[str]
    note: str = ""


def save_head(
    workspace: Workspace, name: str, labels: Labels, task: str | None = None, checkpoint_sha256: str | None = None
) -> SavedHead:
    """Fits a head on the labelled groups that are no test groups, judges it on those that are, and keeps it.

    Args:
        name: lower-case letters, digits and dashes; a name that was used before gets its next version.
        labels: of `read_labels`.
        task: which of them; may be left out where there is one only.
        checkpoint_sha256: whose stored contextual vectors; those that readers get unless given.

    Raises:
        ConfigError: the name cannot be one, or the labels have no such task.
        NotFoundError: nothing is served yet, or there is no such checkpoint.
        TrainingError: the labels come from too few groups.
    """
    check_name(name)
    label_set = _chosen(labels, task)
    context = StoredContext.of(workspace.store, checkpoint_sha256)
    manifest = _manifest(context)
    groups = root_groups(workspace, manifest)
    clips, features = _clips(workspace, context, label_set, groups)
    is_test = np.array([clip.group_id in groups.tests for clip in clips.clips], dtype=np.bool_)
    fitted, tested = (_part(clips, features, keeps) for keeps in (~is_test, is_test))
    origin = HeadOrigin(
        name=name,
        features=FEATURES,
        pooling=str(clips.pooling),
        checkpoint_sha256=context.checkpoint_sha256,
        space_id=context.space_id,
        labels_sha256=labels.sha256,
        clips_by_unit=_units(label_set),
        title_ids=tuple(sorted({clip.title_id for clip in clips.clips})),
        num_seen_groups=_num_seen(fitted[0], manifest),
    )
    head = fit_head(*fitted, origin, workspace.config.probes)
    notes = [f"{len(labels.problems)} label row(s) or file(s) were refused"] if labels.problems else []
    notes += [groups.note] if groups.note else []
    return keep_head(workspace, _judged(workspace, replace(head, notes=(*head.notes, *notes)), *tested))


def root_groups(workspace: Workspace, manifest: TrainingManifest | None) -> RootGroups:
    """The groups of the root's present titles, and which of them are for tests, as `mediafm.data.split` says.

    Args:
        manifest: what the checkpoint was trained on: its salt, shares and stand-ins count; else the configuration's.
    """
    settings = workspace.config.training
    titles = [title for title in workspace.all_titles() if title.state is TitleState.OK]
    joined = join_groups((title.group_id, title.media_sha256) for title in titles)
    if len(set(joined.values())) < MIN_GROUPS:
        note = f"the root has fewer than {MIN_GROUPS} groups of titles, so none of them is a test group"
        return RootGroups(joined=joined, tests=frozenset(), note=note)
    salt = manifest.salt if manifest else settings.split_salt
    shares = manifest.shares if manifest else Shares(settings.validation_share, settings.test_share)
    split = split_groups(joined, salt, shares, manifest.stand_ins if manifest else None).by_group
    return RootGroups(
        joined=joined, tests=frozenset(joined[group] for group, each in split.items() if each is Split.TEST)
    )


def _chosen(labels: Labels, task: str | None) -> LabelSet:
    names = [each.task for each in labels.sets]
    wanted = names[0] if task is None and len(names) == 1 else task
    if wanted not in names:
        raise ConfigError(
            f"the task {task!r}" if task is not None else f"{len(names)} tasks and none chosen",
            rule=f"a saved probe is of one task, and the labels have {', '.join(map(repr, names)) or 'none'}",
            remedy="Name one with --task.",
        )
    return labels.sets[names.index(wanted)]


def _manifest(context: StoredContext) -> TrainingManifest | None:
    """What the checkpoint was trained on; None if the ledger names nothing."""
    sha256 = context.record.inputs.get("manifest")
    return manifest_from_files(read_folder(context.store, folder_key(MANIFESTS, sha256))) if sha256 else None


def _clips(
    workspace: Workspace, context: StoredContext, label_set: LabelSet, groups: RootGroups
) -> tuple[TaskClips, ClipVectors]:
    """The labelled clips of titles that have vectors, under their joined groups; one title in memory at a time."""
    labelled = sorted({row.title_id for row in label_set.rows})
    titles = context.titles(labelled)
    shots = {title.title_id: context.shots(title, groups.joined.get(title.group_id)) for title in titles}
    waiting = {row.title_id for row in newest_rows(workspace.store, "titles", labelled)} - set(shots)
    rows = tuple(row for row in label_set.rows if row.title_id not in waiting)
    clips = find_clips(replace(label_set, rows=rows), shots, workspace.config.probes)
    if waiting:
        problem = Problem(label_set.task, f"{len(waiting)} labelled title(s) have no vectors by this checkpoint")
        clips = replace(clips, dropped=(problem, *clips.dropped))
    num_shots = {title_id: each.num_shots for title_id, each in shots.items()}
    (features,) = clip_vectors([clips], context.all_vectors(titles, num_shots))
    return clips, features


def _part(clips: TaskClips, features: ClipVectors, keeps: Flags) -> tuple[TaskClips, ClipVectors]:
    kept = tuple(clip for clip, is_kept in zip(clips.clips, keeps, strict=True) if is_kept)
    return replace(clips, clips=kept), ClipVectors(
        vectors=features.vectors[keeps], is_present=features.is_present[keeps]
    )


def _judged(workspace: Workspace, head: Head, clips: TaskClips, features: ClipVectors) -> Head:
    """The head with its quality on the test groups, if any has labels."""
    if features.is_present.any():
        return replace(head, tested=quality_on(head, clips, features, workspace.config.probes))
    return replace(
        head, notes=(*head.notes, "no test group has labels: its quality is that of groups held out in turn")
    )


def _units(label_set: LabelSet) -> dict[str, int]:
    """How many rows speak of what; rows about one clip by several annotators count each."""
    names = (
        "pair" if row.kind == "pair" else "span" if row.span else "title" if row.shot_index is None else "shot"
        for row in label_set.rows
    )
    return dict(sorted(Counter(names).items()))


def _num_seen(clips: TaskClips, manifest: TrainingManifest | None) -> int | None:
    if manifest is None:
        return None
    seen = {planned.title.title_id for planned, _ in manifest.parts(Split.TRAIN)}
    return len({clip.group_id for clip in clips.clips if clip.title_id in seen})
