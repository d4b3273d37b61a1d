"""What Dagster says of stored values, compared with the ledger: data versions of materialisations, tags of runs.

Belongs here: Dagster as a witness. Does not belong here: what the other places say (`mediafm.steps.agreement`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import dagster as dg

from mediafm.config import Config
from mediafm.lineage.fingerprint import fingerprint, short
from mediafm.lineage.tables import TABLES
from mediafm.store.opening import open_store
from mediafm.store.pointers import PRODUCERS, Pointers
from mediafm.store.store import Store
from mediafm_pipelines import tags
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.untold import DATA_VERSION, DEAD

NO_CHECKPOINT = "none"
MAX_EVENTS = 50
"""So many of the last materialisations of an asset for one title are looked at."""


def ask_dagster(config: Config, sample: Any) -> list[str]:
    """What this root's instance says otherwise than the ledger, of a `mediafm.steps.agreement.Sample`."""
    with open_instance(config) as instance:
        return disagreements(instance, open_store(config), sample)


def disagreements(instance: dg.DagsterInstance, store: Store, sample: Any) -> list[str]:
    """One sentence for each value, title and checkpoint about which the two differ."""
    known = _Instance(instance)
    findings = []
    for asset, title_id, rows in _by_asset(sample.values):
        made_by = _configured(store, asset)
        for row in sample.history:
            if row.title_id == title_id and TABLES[row.table].asset == asset:
                made_by[row.table].update({_version(row)} - {""})
        said = list(known.versions(asset, title_id))
        findings += _other_versions(asset, title_id, said, _possible(asset, made_by))
        own = _possible(asset, {row.table: {_version(row)} for row in rows})
        if any(known.has_run(row.run_id) for row in rows) and not own & {version for _, version in said}:
            findings.append(f"{title_id}: no materialisation of {asset} has the version {', '.join(sorted(own))}")
    for record in sample.checkpoints:
        findings += known.other_run_tags(record)
    return findings


class _Instance:
    """An instance, asked once for each run."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._runs: dict[str, dg.DagsterRun | None] = {}

    def has_run(self, run_id: str) -> bool:
        return self._run(run_id) is not None

    def versions(self, asset: str, title_id: str) -> Iterator[tuple[str, str]]:
        """Run and data version of an asset's last materialisations for a title, by the event and by its tag's copy."""
        chosen = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[title_id])
        for record in self._instance.fetch_materializations(chosen, limit=MAX_EVENTS).records:
            materialization = record.asset_materialization
            if materialization is not None:
                yield record.run_id, str((materialization.tags or {}).get(DATA_VERSION))

    def other_run_tags(self, record: Any) -> list[str]:
        """Where the tags of the run that made a checkpoint do not name it; none if Dagster had no part in it."""
        run, sha256 = self._run(record.run_id), record.checkpoint_sha256
        found = None if run is None else run.tags.get(tags.CHECKPOINT)
        if run is None or found == sha256[:16] or (found is None and self._died_and_another_says(run, sha256)):
            return []
        return [f"checkpoint {sha256[:16]}: its run {record.run_id} is tagged {tags.CHECKPOINT} = {found}"]

    def _died_and_another_says(self, run: dg.DagsterRun, sha256: str) -> bool:
        """A run that was killed before it could say what it had made; the next one found it there, and said so."""
        if run.status not in DEAD:
            return False
        chosen = dg.RunsFilter(tags={tags.CHECKPOINT: sha256[:16]}, statuses=[dg.DagsterRunStatus.SUCCESS])
        return bool(self._instance.get_run_ids(chosen, limit=1))

    def _run(self, run_id: str) -> dg.DagsterRun | None:
        if run_id not in self._runs:
            self._runs[run_id] = self._instance.get_run_by_id(run_id)
        return self._runs[run_id]


def _by_asset(values: Sequence[Any]) -> list[tuple[str, str, list[Any]]]:
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in values:
        found[TABLES[row.table].asset, row.title_id].append(row)
    return [(asset, title_id, rows) for (asset, title_id), rows in sorted(found.items())]


def _version(row: Any) -> str:
    """What Dagster calls the version of a table's value: its producer, of contextual ones the checkpoint."""
    return str(row.checkpoint_sha256 or row.producer_id)


def _configured(store: Store, asset: str) -> dict[str, set[str]]:
    """Table -> the producers that were ever configured for it: a title may have been waiting under one."""
    found: dict[str, set[str]] = {name: set() for name, spec in TABLES.items() if spec.asset == asset}
    for pointer in Pointers(store).history(PRODUCERS):
        for table in found:
            if table in pointer.value:
                found[table].add(str(pointer.value[table]))
    return found


def _possible(asset: str, made_by: Mapping[str, set[str]]) -> set[str]:
    """The data versions that an asset can have had, if its tables were made by these."""
    if asset == "contextual_embeddings":
        return set().union(*made_by.values(), {NO_CHECKPOINT})
    if len(made_by) == 1:
        return set(next(iter(made_by.values())))
    order = [name for name, spec in TABLES.items() if spec.asset == asset]
    return {short(fingerprint(list(each))) for each in product(*(sorted(made_by.get(name, ())) for name in order))}


def _other_versions(asset: str, title_id: str, said: Sequence[tuple[str, str]], possible: set[str]) -> list[str]:
    return [
        f"{title_id}: run {run_id} materialised {asset} with the version {version}, which the ledger does not know"
        for run_id, version in said
        if version not in possible
    ]
