"""Whether it is time to train again: enough new or changed titles, or titles that are not like those trained on.

The ledger alone says which titles there are; vectors are read only to look for a drift, of a sample of titles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm.automation import DriftSettings, RetrainSettings
from mediafm.data.drift import Drift, group_means, measure_drift
from mediafm.data.manifest import TrainingManifest
from mediafm.data.sequences import TitleSequence
from mediafm.fusion import Space
from mediafm.lineage.fingerprint import fingerprint
from mediafm.steps.checkpoints import checkpoint_record
from mediafm.steps.contextual import champion_sha256
from mediafm.steps.promotion import needs_training, newest_checkpoint, was_decided
from mediafm.steps.sequences import read_sequence
from mediafm.steps.training import last_manifest, load_manifest
from mediafm.steps.workspace import Workspace
from mediafm.store.current import Choice
from mediafm.store.views import connect

DRIFT_SEED = 0
"""Of the permutations: the same titles give the same answer."""
_PRESENT = """
SELECT title_id, fingerprint, object_key, coalesce(TRY_CAST(details ->> 'num_vectors' AS BIGINT), num_rows)
FROM current WHERE table_name = 'fused_embeddings' ORDER BY title_id
"""


@dataclass(frozen=True, kw_only=True)
class FusedTitle:
    """A title's fused vectors, as the ledger has them."""

    title_id: str
    fingerprint: str
    object_key: str


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How the present titles differ from those that a manifest names.

    baseline: of the champion's training, or of a later candidate's that the gate has spoken about; None before a first.
    new, changed: titles that it lacks, and those whose fused vectors are other ones now. num_gone: that are no more.
    num_before: titles of the baseline. state_sha256: of the present titles and their vectors.
    """

    baseline: TrainingManifest | None
    new: tuple[FusedTitle, ...]
    changed: tuple[FusedTitle, ...]
    num_gone: int
    num_before: int
    state_sha256: str

    @property
    def num_grown(self) -> int:
        return len(self.new) + len(self.changed)

    @property
    def sentence(self) -> str:
        if self.baseline is None:
            return f"no checkpoint yet, {len(self.new)} titles with vectors"
        named = f"manifest {self.baseline.sha256[:16]}"
        return f"{len(self.new)} new, {len(self.changed)} changed, {self.num_gone} gone since {named}"


def growth(workspace: Workspace) -> Growth:
    """How the titles of the configured space differ from those that were trained on last; by the ledger."""
    present = _present(workspace)
    state = fingerprint({title_id: title.fingerprint for title_id, title in present.items()})
    baseline = baseline_manifest(workspace)
    before = {} if baseline is None else {one.title.title_id: one.title.fused_fingerprint for one in baseline.titles}
    return Growth(
        baseline=baseline,
        new=tuple(title for title_id, title in present.items() if title_id not in before),
        changed=tuple(
            title for title_id, title in present.items() if before.get(title_id, title.fingerprint) != title.fingerprint
        ),
        num_gone=len(set(before) - set(present)),
        num_before=len(before),
        state_sha256=state,
    )


def baseline_manifest(workspace: Workspace) -> TrainingManifest | None:
    """What growth is counted from: the newest manifest once the gate has spoken of its checkpoint, else the champion's.

    A candidate that was refused counts too: the same titles would be refused again.
    """
    newest = newest_checkpoint(workspace)
    if newest is not None and was_decided(workspace, newest):
        return last_manifest(workspace)
    champion = champion_sha256(workspace)
    manifest = checkpoint_record(workspace.store, champion).inputs.get("manifest") if champion else None
    return load_manifest(workspace, manifest) if manifest else None


def reason_to_train(workspace: Workspace, grown: Growth, settings: RetrainSettings) -> str:
    """Why it is time by the number of titles, a sentence; "" if it is not."""
    if grown.baseline is None:
        return "the first checkpoint of this root" if needs_training(workspace) else ""
    needed = max(settings.min_titles, settings.min_share * grown.num_before)
    return grown.sentence if grown.num_grown >= needed else ""


def drift_of(workspace: Workspace, grown: Growth, settings: DriftSettings) -> Drift | None:
    """New and changed titles against those of the baseline.

    None where a side has too few groups, or where the two are of different spaces and no numbers compare.

    Raises:
        NotFoundError, IntegrityError: a stored value is gone or damaged.
    """
    baseline = grown.baseline
    if baseline is None or fingerprint(baseline.space) != workspace.space.space_id:
        return None
    space = Space.from_json(baseline.space)
    before = [(one.title.title_id, one.group_id, one.title.fused_key) for one in baseline.titles]
    groups = {title.title_id: title.group_id for title in workspace.titles([one.title_id for one in _later(grown)])}
    after = [(one.title_id, groups.get(one.title_id, one.title_id), one.object_key) for one in _later(grown)]
    sides = [
        group_means(_sequences(workspace, _sample(titles, settings.max_titles)), space.slices, space.width)
        for titles in (before, after)
    ]
    if min(side.num_groups for side in sides) < settings.min_groups:
        return None
    return measure_drift(sides[0], sides[1], settings.num_permutations, np.random.default_rng(DRIFT_SEED))


def _later(grown: Growth) -> tuple[FusedTitle, ...]:
    return (*grown.new, *grown.changed)


def _present(workspace: Workspace) -> Mapping[str, FusedTitle]:
    with connect(workspace.store, choice=Choice(configured=workspace.producer_ids), tables=()) as connection:
        rows = connection.execute(_PRESENT).fetchall()
    return {
        title_id: FusedTitle(title_id=title_id, fingerprint=print_, object_key=key)
        for title_id, print_, key, num_vectors in rows
        if num_vectors
    }


def _sample(titles: Sequence[tuple[str, str, str]], max_titles: int) -> list[tuple[str, str, str]]:
    """At most so many, by the hash of their ids: the same ones at each look."""
    return sorted(titles, key=lambda title: hashlib.sha256(title[0].encode()).digest())[:max_titles]


def _sequences(workspace: Workspace, titles: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, TitleSequence]]:
    for title_id, group_id, key in titles:
        yield group_id, read_sequence(workspace.store, title_id, key, None)[0]
