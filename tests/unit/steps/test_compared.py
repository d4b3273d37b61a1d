"""What a report compares, the clip without its title, and what the gate hears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from mediafm.data.split import Split
from mediafm.lineage.fingerprint import canonical_json
from mediafm.probes.clips import TaskClips, find_clips
from mediafm.probes.feature_sets import FeatureSet
from mediafm.probes.labels import LabelKind, LabelRow, Labels, LabelSet
from mediafm.steps.checkpoints import load_checkpoint
from mediafm.steps.compared import (
    AGAINST,
    CLIP_ALONE,
    CONTEXTUAL,
    FUSED,
    JOINED,
    UNTRAINED,
    WITHOUT_GLOBAL,
    compare_checkpoint,
)
from mediafm.steps.contextual import space_producers
from mediafm.steps.evaluation import evaluate_candidate, evaluate_labels, root_labels, titles_with_fused
from mediafm.steps.features import groups_by_title, title_shots
from mediafm.steps.gate import gate_rules
from mediafm.steps.gate_tasks import Contender, hear, judging_groups
from mediafm.steps.present import PresentTitle
from mediafm.steps.training import load_manifest
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from mediafm.types import Span
from tests.unit.steps.labelled import labelled_config, take_in, trained

NUM_TITLES = 16
KEPT = ("scene_type", "shot_size", "scene_boundary")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, str, str]]:
    """A workspace and two checkpoints, of other seeds."""
    folder = tmp_path_factory.mktemp("labelled")
    config = labelled_config(folder, NUM_TITLES, KEPT)
    with Workspace.open(config) as workspace:
        take_in(workspace, folder)
        first = trained(workspace)
        other = replace(
            workspace, config=config.model_copy(update={"training": config.training.model_copy(update={"seed": 1})})
        )
        yield workspace, first, trained(other)


def titles_of(workspace: Workspace, sha256: str) -> list[PresentTitle]:
    ids = [title.title_id for title in workspace.all_titles()]
    return titles_with_fused(workspace, ids, space_producers(workspace.store, sha256))


def clips_of(workspace: Workspace, labels: Sequence[LabelSet], titles: Sequence[PresentTitle]) -> list[TaskClips]:
    by_title = {shots.title_id: shots for shots in title_shots(workspace, titles)}
    return [find_clips(label_set, by_title, workspace.config.probes) for label_set in labels]


def some_labels(workspace: Workspace) -> Labels:
    found = root_labels(workspace)
    assert found is not None
    return found


def by_name(feature_sets: Sequence[FeatureSet]) -> dict[str, FeatureSet]:
    return {one.name: one for one in feature_sets}


def spans(title_ids: Sequence[str], span: Span | None) -> LabelSet:
    rows = tuple(
        LabelRow(
            title_id=title_id,
            task="made up",
            span=span,
            shot_index=None,
            value=True,
            annotator="",
            where=title_id,
        )
        for title_id in title_ids
    )
    return LabelSet(task="made up", kind=LabelKind.BINARY, rows=rows)


def test_everything_stands_beside_everything(root):
    workspace, sha256, other = root
    titles = titles_of(workspace, sha256)
    found = compare_checkpoint(workspace, titles, load_checkpoint(workspace, sha256))
    names = [one.name for one in found.feature_sets]
    assert names == [
        *("metadata", "video", "audio", "text", "fused", "fused minus title mean", "fused ++ mean of +-k"),
        *("fused ++ metadata", *UNTRAINED.values(), CLIP_ALONE, WITHOUT_GLOBAL, CONTEXTUAL, JOINED),
    ]
    assert [one.name for one in found.feature_sets if one.is_baseline] == names[:8]
    rival = compare_checkpoint(
        workspace, titles, load_checkpoint(workspace, sha256), (load_checkpoint(workspace, other), titles)
    )
    assert [one.name for one in rival.feature_sets] == [*names, AGAINST]
    assert (WITHOUT_GLOBAL, AGAINST) in rival.pairs
    assert rival.seen_groups[CONTEXTUAL]
    assert rival.seen_groups[AGAINST]


def test_a_clip_that_is_its_whole_title_is_the_same_alone_and_a_part_of_it_is_not(root):
    workspace, sha256, _ = root
    titles = titles_of(workspace, sha256)
    sets = by_name(compare_checkpoint(workspace, titles, load_checkpoint(workspace, sha256)).feature_sets)
    ids = [title.title_id for title in titles]
    whole, part = clips_of(workspace, [spans(ids, None), spans(ids, Span(8.0, 30.0))], titles)
    alone, inside = ([each[0] for each in sets[name].of([whole, part])] for name in (CLIP_ALONE, CONTEXTUAL))
    assert alone[0].is_present.all()
    assert alone[1].is_present.all()
    np.testing.assert_allclose(alone[0].vectors, inside[0].vectors, atol=2e-5)
    distance = np.abs(alone[1].vectors - inside[1].vectors).max(axis=1)
    assert (distance > 1e-3).all()


def test_without_metadata_global_says_nothing(root):
    """The drawn titles have none: both lines are the same."""
    workspace, sha256, _ = root
    titles = titles_of(workspace, sha256)
    sets = by_name(compare_checkpoint(workspace, titles, load_checkpoint(workspace, sha256)).feature_sets)
    clips = clips_of(workspace, [spans([titles[0].title_id], None)], titles)
    with_it, without = (sets[name].of(clips)[0][0].vectors for name in (CONTEXTUAL, WITHOUT_GLOBAL))
    np.testing.assert_allclose(with_it, without, atol=1e-6)


def test_the_gate_hears_on_test_groups_only_and_a_checkpoint_ties_with_itself(root):
    workspace, sha256, _ = root
    titles, checkpoint = titles_of(workspace, sha256), load_checkpoint(workspace, sha256)
    manifest = load_manifest(workspace, checkpoint.manifest_sha256)
    contender = Contender(checkpoint=checkpoint, manifest=manifest, titles=titles)
    labels = some_labels(workspace)
    heard = hear(
        workspace, labels, clips_of(workspace, labels.sets, titles), contender, contender, gate_rules(workspace)
    )
    tested = {planned.title.title_id for planned, _ in manifest.parts(Split.TEST)}
    assert {task.task for task in heard.tasks} == set(KEPT)
    for task in heard.tasks:
        assert 0 < task.num_test_groups <= len(tested)
        assert task.difference in (0.0, None)
        assert task.verdict == "undecidable"


def test_no_group_judges_that_either_checkpoint_was_trained_on(root):
    workspace, sha256, _ = root
    manifest = load_manifest(workspace, load_checkpoint(workspace, sha256).manifest_sha256)
    groups = groups_by_title(titles_of(workspace, sha256))
    judges = judging_groups(manifest, manifest, groups)
    test = {planned.title.group_id for planned, _ in manifest.parts(Split.TEST)}
    assert judges == test
    taught = next(planned for planned, _ in manifest.parts(Split.TRAIN))
    moved = replace(
        manifest,
        titles=tuple(p if p.title.group_id not in test else replace(p, parts=taught.parts) for p in manifest.titles),
    )
    assert not judging_groups(manifest, moved, groups)
    assert not judging_groups(moved, manifest, groups)


def test_titles_that_share_a_file_are_one_group(root):
    workspace, sha256, _ = root
    one, other, third = titles_of(workspace, sha256)[:3]
    twin = replace(other, media_sha256=one.media_sha256)
    groups = groups_by_title([one, twin, third])
    assert groups[one.title_id] == groups[twin.title_id] != groups[third.title_id]
    assert [shots.group_id for shots in title_shots(workspace, [one, twin])] == [groups[one.title_id]] * 2


def test_an_evaluation_is_made_once_and_again_when_the_rules_change(root):
    workspace, sha256, other = root
    workspace.pointers.ensure(CHAMPION, {"checkpoint_sha256": other, "is_provisional": False}, "a test")
    first, pictures = evaluate_candidate(workspace, sha256)
    again, _ = evaluate_candidate(workspace, sha256)
    assert first.was_made
    assert not again.was_made
    assert first.gate is not None
    assert first.gate["tasks"]
    assert first.against == other
    assert canonical_json(again.as_json()) == canonical_json({**first.as_json(), "was_made": False})
    assert set(pictures) == {"probes"}
    wider = workspace.config.gate.model_copy(update={"margin": 0.5})
    third, _ = evaluate_candidate(
        replace(workspace, config=workspace.config.model_copy(update={"gate": wider})), sha256
    )
    assert third.was_made


def test_any_labels_may_be_asked_of_any_checkpoint(root):
    workspace, sha256, other = root
    found, _ = evaluate_labels(workspace, some_labels(workspace), sha256, other)
    assert found.kind == "asked"
    assert found.gate is None
    assert found.probes is not None
    assert {row["task"] for row in found.probes["rows"]} == set(KEPT)
    assert {row["features"] for row in found.probes["rows"]} >= {FUSED, CONTEXTUAL, AGAINST}
    assert any(row["against"] == AGAINST for row in found.probes["differences"])
    assert all(np.isfinite(value) for value in found.metrics().values())
    assert len(found.bought) == len({(row["task"], row["measure"]) for row in found.probes["rows"]})
    assert all(line.startswith(f"{CONTEXTUAL} bought ") for line in found.bought)
