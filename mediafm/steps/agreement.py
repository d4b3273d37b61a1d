"""Whether the places that know of a root's values say the same: ledger, files, MLflow, and others.

A sample of titles, evenly spread, with every current value of theirs; and every checkpoint and its manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mediafm.config import Config
from mediafm.errors import MediaFMError
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import FACETS, TABLES
from mediafm.registry.described import DescribedVersion, describe_versions, verify_copy
from mediafm.registry.names import SHA256_TAG
from mediafm.registry.registry import Registry
from mediafm.registry.run_log import MANIFEST_TAG
from mediafm.steps.existing import existing_store
from mediafm.store.folders import MANIFESTS, folder_key, folder_paths
from mediafm.store.pointers import CHAMPION, SERVING, Pointers
from mediafm.store.store import Store
from mediafm.store.tombstones import deny_list
from mediafm.store.verify import complaints_about, weights_complaints
from mediafm.store.views import connect, records
from mediafm.types import Json, TitleState

DEFAULT_SAMPLE = 20
RUN_TAG = "dagster_run_id"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is compared.

    values: the current records of some titles. checkpoints: the record of each checkpoint, the one that holds.
    history: every record about the sampled titles.
    """

    title_ids: tuple[str, ...]
    values: tuple[LedgerRecord, ...]
    checkpoints: tuple[LedgerRecord, ...]
    history: tuple[LedgerRecord, ...]


Witness = Callable[[Config, Sample], Sequence[str]]
"""Another place that knows of the values: what it says otherwise than the ledger, one sentence each."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What was compared, and where the places disagree. witnesses: who was asked beside the ledger and the files."""

    num_titles: int
    num_values: int
    num_checkpoints: int
    witnesses: tuple[str, ...]
    findings: tuple[str, ...]

    def as_json(self) -> dict[str, Json]:
        return {
            "num_titles": self.num_titles,
            "num_values": self.num_values,
            "num_checkpoints": self.num_checkpoints,
            "witnesses": list(self.witnesses),
            "findings": list(self.findings),
        }

    @property
    def sentence(self) -> str:
        asked = ", ".join(("ledger", "files", *self.witnesses))
        return (
            f"{asked}: {len(self.findings)} disagreements on {self.num_values} values of {self.num_titles} titles and "
            f"{self.num_checkpoints} checkpoints"
        )


def compare(config: Config, num_titles: int = DEFAULT_SAMPLE, others: Mapping[str, Witness] | None = None) -> Agreement:
    """Compares all places on a sample.

    Args:
        num_titles: how many titles are looked at, evenly spread.
        others: further witnesses by name; MLflow is always asked.

    Raises:
        NotFoundError: there is no root.
    """
    store = existing_store(config)
    sample = draw_sample(store, num_titles)
    witnesses: dict[str, Witness] = {"MLflow": ask_mlflow, **(others or {})}
    findings = [*_values_and_files(store, sample), *_checkpoint_files(store, sample), *_odd_pointers(store, sample)]
    for name, witness in witnesses.items():
        findings += [f"{name}: {sentence}" for sentence in witness(config, sample)]
    return Agreement(
        num_titles=len(sample.title_ids),
        num_values=len(sample.values),
        num_checkpoints=len(sample.checkpoints),
        witnesses=tuple(witnesses),
        findings=tuple(findings),
    )


def draw_sample(store: Store, num_titles: int) -> Sample:
    """So many titles that are ok, evenly spread over the catalogue, and every checkpoint."""
    with connect(store, tables=()) as connection:
        query = "SELECT title_id FROM current WHERE table_name = 'titles' ORDER BY title_id"
        known = [row[0] for row in connection.execute(query).fetchall()]
    every = max(1, -(-len(known) // max(num_titles, 1)))
    chosen = known[::every]
    history = records(store, list(TABLES), chosen)
    by_key = {(row.table, row.title_id, row.fingerprint, row.sha256): row for row in history if not row.reason}
    with connect(store, chosen, tables=()) as connection:
        current = connection.execute("SELECT table_name, title_id, fingerprint, sha256 FROM current").fetchall()
    checkpoints = {row.checkpoint_sha256: row for row in records(store, ["checkpoints"]) if row.state is TitleState.OK}
    return Sample(
        title_ids=tuple(chosen),
        values=tuple(by_key[row] for row in sorted(current)),
        checkpoints=tuple(checkpoints.values()),
        history=tuple(history),
    )


def _values_and_files(store: Store, sample: Sample) -> Iterator[str]:
    """Each value's record against its own fingerprint, its place, its bytes, its header and, of titles, its row."""
    denied = deny_list(store)
    for record in sample.values:
        where = f"{record.title_id}: {record.table}"
        identity = Identity(
            table=record.table, title_id=record.title_id, producer=record.producer, inputs=record.inputs
        )
        if identity.fingerprint != record.fingerprint or identity.producer_id != record.producer_id:
            yield f"{where}: the ledger's fingerprint or producer_id is not that of its producer and inputs"
        if record.object_key and store.key(identity) != record.object_key:
            yield f"{where}: the ledger names {record.object_key}, the value belongs under {store.key(identity)}"
        yield from (f"{where}: {sentence}" for sentence in complaints_about(store, record))
        yield from (f"{where}: {sentence}" for sentence in _other_facets(store, record))
        if denied.by_title(record.title_id) is not None:
            yield f"{where}: it is current although the title was forgotten"


def _other_facets(store: Store, record: LedgerRecord) -> list[str]:
    if record.table != "titles" or not store.files.exists(record.object_key):
        return []
    try:
        row = store.read(record.object_key).to_pylist()[0]
    except MediaFMError as error:
        return [str(error)]
    return [f"its facet {name} differs" for name in FACETS if (row[f"facet_{name}"] or "") != record.facets[name]]


def _checkpoint_files(store: Store, sample: Sample) -> Iterator[str]:
    for record in sample.checkpoints:
        where = f"checkpoint {record.checkpoint_sha256[:16]}"
        yield from (f"{where}: {sentence}" for sentence in weights_complaints(store, record.checkpoint_sha256))
        manifest = record.inputs.get("manifest", "")
        try:
            folder_paths(store, folder_key(MANIFESTS, manifest))
        except MediaFMError as error:
            yield f"{where}: its manifest: {error}"


def _odd_pointers(store: Store, sample: Sample) -> Iterator[str]:
    known = {record.checkpoint_sha256 for record in sample.checkpoints}
    for name in (CHAMPION, SERVING):
        pointer = Pointers(store).read(name)
        if pointer is not None and pointer.value["checkpoint_sha256"] not in known:
            yield f"the pointer {name} names {pointer.value['checkpoint_sha256']}, of which the ledger has no record"


def ask_mlflow(config: Config, sample: Sample) -> list[str]:
    """Versions, tags, runs' data sets, aliases, and MLflow's copy of the weights that the aliases mean."""
    if not sample.checkpoints:
        return []
    registry = Registry.of(config)
    store, findings = existing_store(config), list[str]()
    # A training that was killed after it had been logged is recorded by the next run, under that one's name.
    runs = {record.run_id for record in records(store, ["manifests", "checkpoints"])}
    pointers, aliases = Pointers(store), registry.aliases()
    pointed_to = {
        str(pointer.value["checkpoint_sha256"])
        for name in (CHAMPION, SERVING)
        if (pointer := pointers.read(name)) is not None
    }
    for record in sample.checkpoints:
        sha256 = record.checkpoint_sha256
        found = _other_version(registry, record, runs, is_pointed_to=sha256 in pointed_to)
        findings += [f"checkpoint {sha256[:16]}: {sentence}" for sentence in found]
    for name in (CHAMPION, SERVING):
        pointer = pointers.read(name)
        pointed = pointer.value["checkpoint_sha256"] if pointer else None
        if aliases.get(name) != pointed:
            findings.append(f"the alias {name} means {aliases.get(name)}, the pointer {pointed}")
    return findings


def _other_version(
    registry: Registry, record: LedgerRecord, runs: Collection[str], *, is_pointed_to: bool
) -> list[str]:
    sha256, expected = record.checkpoint_sha256, record.details.get("model_version")
    versions = {one.version: one for one in describe_versions(registry, sha256)}
    if expected not in versions:
        return [f"version {expected} is not there, or not tagged {SHA256_TAG} = {sha256}"]
    version, manifest = versions[int(str(expected))], record.inputs.get("manifest", "")
    said = {
        f"the tag {MANIFEST_TAG}": (version.tags.get(MANIFEST_TAG), manifest),
        f"the run's tag {SHA256_TAG}": (version.run_tags.get(SHA256_TAG), sha256),
        f"the run's tag {MANIFEST_TAG}": (version.run_tags.get(MANIFEST_TAG), manifest),
    }
    findings = [
        f"{name} is {found}, the ledger says {wanted}" for name, (found, wanted) in said.items() if found != wanted
    ]
    if version.tags.get(RUN_TAG) not in runs:
        findings.append(f"the tag {RUN_TAG} is {version.tags.get(RUN_TAG)}, a run that the ledger has no training of")
    if not any(digest and manifest.startswith(digest) for digest in version.digests):
        findings.append(f"the run's data sets are {', '.join(version.digests) or 'none'}, the manifest is {manifest}")
    return [*findings, *(_other_copy(registry, sha256, version) if is_pointed_to else [])]


def _other_copy(registry: Registry, sha256: str, version: DescribedVersion) -> list[str]:
    try:
        verify_copy(registry, sha256, version)
    except MediaFMError as error:
        return [str(error)]
    return []
