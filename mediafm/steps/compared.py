"""What a report on a checkpoint compares: vectors that need no model, what the model makes of them, and both joined.

Every line answers a question: what metadata alone tells; each modality; all three fused; smoothing alone, which looks
like context; the architecture without its training; the clip without its title; the title without [GLOBAL]'s metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.embedder import Embedder
from mediafm.errors import NotFoundError
from mediafm.probes.feature_sets import (
    OWN,
    ClipSource,
    FeatureSet,
    baseline_sets,
    joined,
    neighbourhood,
    once,
    shot_sets,
)
from mediafm.steps.clip_alone import ReadInputs, clip_alone_source
from mediafm.steps.device import resolve_device
from mediafm.steps.features import (
    FeatureSource,
    TitleInputs,
    contextual_features,
    groups_by_title,
    metadata_features,
    read_inputs,
    stored_features,
    unimodal_tables,
)
from mediafm.steps.present import PresentTitle
from mediafm.steps.sequences import sequence_loader
from mediafm.steps.training import load_manifest
from mediafm.steps.workspace import Workspace
from mediafm.train.checkpoint import Checkpoint, make_checkpoint
from mediafm.train.config import TrainConfig
from mediafm.train.untrained import untrained_models

METADATA, FUSED = "metadata", "fused"
FUSED_AND_METADATA = "fused ++ metadata"
CONTEXTUAL, WITHOUT_GLOBAL, CLIP_ALONE = "contextual", "contextual without [GLOBAL]", "contextual of the clip alone"
JOINED = "fused ++ contextual"
UNTRAINED = {"random": "untrained", "data": "untrained, first weights from data"}
AGAINST = "contextual without [GLOBAL], other checkpoint"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The lines of a report and what is said about them.

    subjects: the sets of which is said what context bought. pairs: (ours, theirs), whose differences are wanted.
    seen_groups: sets of a checkpoint -> the groups that it was trained on.
    notes: what could not be compared, one sentence each.
    """

    feature_sets: tuple[FeatureSet, ...]
    subjects: tuple[str, ...] = (CONTEXTUAL, JOINED)
    pairs: tuple[tuple[str, str], ...] = ()
    seen_groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def embedder_of(workspace: Workspace, checkpoint: Checkpoint) -> Embedder:
    """A checkpoint's network on the configured device."""
    return Embedder(checkpoint, resolve_device(workspace.config.device, workspace.gpu_memory_fraction))


def groups_of_split(manifest: TrainingManifest, split: Split, groups: Mapping[str, str]) -> frozenset[str]:
    """The groups of those titles of a manifest that a split has.

    Args:
        groups: title -> its group, of `groups_by_title`; titles that are not among them count for nothing.
    """
    ids = (planned.title.title_id for planned, _ in manifest.parts(split))
    return frozenset(groups[title_id] for title_id in ids if title_id in groups)


def compare_checkpoint(
    workspace: Workspace,
    titles: Sequence[PresentTitle],
    checkpoint: Checkpoint,
    against: tuple[Checkpoint, Sequence[PresentTitle]] | None = None,
) -> Compared:
    """Everything beside everything, for one checkpoint; [GLOBAL] is told the metadata unless a line says otherwise.

    Args:
        titles: those that have fused vectors in the checkpoint's space.
        against: another checkpoint, with the same titles as its own space has them; compared without [GLOBAL].
    """
    manifest = load_manifest(workspace, checkpoint.manifest_sha256)
    lines, fused = _without_model(workspace, titles)
    embedder = embedder_of(workspace, checkpoint)
    untrained, notes = _untrained(workspace, checkpoint, manifest)
    for made, model in untrained.items():
        lines.append(_set(UNTRAINED[made], _model_source(workspace, titles, model)))
    contextual = _model_source(workspace, titles, embedder)
    own = [
        _set(CLIP_ALONE, once(clip_alone_source(_reader(workspace, titles), embedder))),
        _set(WITHOUT_GLOBAL, _model_source(workspace, titles, embedder, with_metadata=False)),
        _set(CONTEXTUAL, contextual),
        _set(JOINED, joined(fused, contextual)),
    ]
    pairs = [(CONTEXTUAL, FUSED), (CONTEXTUAL, CLIP_ALONE), (CONTEXTUAL, WITHOUT_GLOBAL), (JOINED, FUSED)]
    pairs += [(CONTEXTUAL, UNTRAINED[made]) for made in untrained]
    groups = groups_by_title(titles)
    seen = dict.fromkeys([one.name for one in own], groups_of_split(manifest, Split.TRAIN, groups))
    if against is not None:
        other, other_titles = against
        source = _model_source(workspace, other_titles, embedder_of(workspace, other), with_metadata=False)
        own.append(_set(AGAINST, source))
        pairs.append((WITHOUT_GLOBAL, AGAINST))
        seen[AGAINST] = groups_of_split(load_manifest(workspace, other.manifest_sha256), Split.TRAIN, groups)
    return Compared(feature_sets=(*lines, *own), pairs=tuple(pairs), seen_groups=seen, notes=tuple(notes))


def compare_served(workspace: Workspace, titles: Sequence[PresentTitle], manifest: TrainingManifest) -> Compared:
    """What readers get, as it is stored, beside what it was made of: the whole comparison is a checkpoint's."""
    fused = shot_sets(stored_features(workspace, titles, "fused_embeddings"), neighbourhood())
    served = shot_sets(stored_features(workspace, titles, "contextual_embeddings"))[OWN]
    own = [_set(CONTEXTUAL, served), _set(JOINED, joined(fused[OWN], served))]
    groups = groups_by_title(titles)
    return Compared(
        feature_sets=(*baseline_sets(FUSED, fused), *own),
        pairs=((CONTEXTUAL, FUSED), (JOINED, FUSED)),
        seen_groups=dict.fromkeys([one.name for one in own], groups_of_split(manifest, Split.TRAIN, groups)),
    )


def neighbour_sources(
    workspace: Workspace, titles: Sequence[PresentTitle], contextual: FeatureSource
) -> dict[str, FeatureSource]:
    """The vectors whose neighbours are looked at: each modality's, fused, contextual."""
    tables = {**unimodal_tables(), FUSED: "fused_embeddings"}
    stored = {name: stored_features(workspace, titles, table) for name, table in tables.items()}
    return {**stored, CONTEXTUAL: contextual}


def _without_model(workspace: Workspace, titles: Sequence[PresentTitle]) -> tuple[list[FeatureSet], ClipSource]:
    """The baselines; and the source of fused vectors, to be joined with others."""
    metadata = shot_sets(metadata_features(workspace, titles))[OWN]
    fused = shot_sets(stored_features(workspace, titles, "fused_embeddings"), neighbourhood())
    lines = [FeatureSet(name=METADATA, source=metadata, is_baseline=True)]
    for name, table in unimodal_tables().items():
        source = shot_sets(stored_features(workspace, titles, table))[OWN]
        lines.append(FeatureSet(name=name, source=source, is_baseline=True))
    lines += baseline_sets(FUSED, fused)
    lines.append(FeatureSet(name=FUSED_AND_METADATA, source=joined(fused[OWN], metadata), is_baseline=True))
    return lines, fused[OWN]


def _set(name: str, source: ClipSource) -> FeatureSet:
    return FeatureSet(name=name, source=source, is_baseline=False)


def _model_source(
    workspace: Workspace, titles: Sequence[PresentTitle], embedder: Embedder, with_metadata: bool = True
) -> ClipSource:
    return shot_sets(contextual_features(workspace, titles, embedder, with_metadata))[OWN]


def _reader(workspace: Workspace, titles: Sequence[PresentTitle]) -> ReadInputs:
    by_id = {title.title_id: title for title in titles}

    def read(title_id: str) -> TitleInputs | None:
        title = by_id.get(title_id)
        return None if title is None else read_inputs(workspace, title, with_metadata=True)

    return read


def _untrained(
    workspace: Workspace, checkpoint: Checkpoint, manifest: TrainingManifest
) -> tuple[dict[str, Embedder], list[str]]:
    """The same architecture before its first step, as the run itself began; why not, where its titles are gone."""
    config = TrainConfig.from_json(checkpoint.training)
    try:
        corpus = open_corpus(manifest, sequence_loader(workspace.store), workspace.config.cache_path)
        models = untrained_models(config, manifest, corpus)
    except NotFoundError as error:
        return {}, [f"the untrained architecture is left out: its training titles are gone ({error.seen})"]
    return {
        made: embedder_of(
            workspace,
            make_checkpoint(model, checkpoint.export_layers, checkpoint.space, checkpoint.manifest_sha256, {}, {}),
        )
        for made, model in models.items()
    }, []
