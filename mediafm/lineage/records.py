"""The lineage record: what was made (or not), from what, by what, where it rests. One row of the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from mediafm.errors import LineageMismatchError
from mediafm.lineage.fingerprint import Identity, canonical_json
from mediafm.lineage.tables import FACETS, TABLES
from mediafm.types import Json, TitleState

FIRST_GENERATION = 1
REBUILT_GENERATION = 0
"""Of a row made from a file alone: any row that a run wrote goes before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Who works: stamped on every record of a run.

    run_id: Dagster's run id, or one that the caller made up.
    host: the machine's name.
    """

    run_id: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecord:
    """One piece of work on one value: a claim about an object, or the reason why there is none.

    asset: the ledger's folder, named like the Dagster asset.
    table: the table of the store; "checkpoints" and "manifests" beside those of `mediafm.lineage.tables`.
    title_id: whose value; "" where it belongs to no single title.
    state: what became of it; `object_key` and `sha256` are set exactly when it is OK and left an object.
    reason: why it is not OK, one sentence; "" if it is.
    producer_id, fingerprint, producer, inputs: the value's identity, see `mediafm.lineage.fingerprint.Identity`.
    facets: on rows of `titles`: content hash by name of `FACETS`.
    object_key, sha256, size_bytes, num_rows: the file.
    run_id, host, recorded_at: stamped by the ledger's writer; the time is UTC and decides nothing.
    generation: on rows of `titles`: raised with each change of the title's raw record, from 1.
        On other rows: raised when a lost or damaged object is made again, or a failed step tried again.
    step_version: the step's own version.
    seconds, cost_usd: what the work took.
    checkpoint_sha256: of contextual tables.
    media_sha256: the media file that the title was when this was made.
    is_forced: made by `--force`.
    details: what else is worth knowing: `duration_seconds`, `num_present`, `decoder_version`, MLflow's ids.
    """

    asset: str
    table: str
    title_id: str = ""
    state: TitleState = TitleState.OK
    reason: str = ""
    producer_id: str = ""
    fingerprint: str = ""
    producer: Mapping[str, Json] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    facets: Mapping[str, str] = field(default_factory=dict)
    object_key: str = ""
    sha256: str = ""
    size_bytes: int = 0
    num_rows: int = 0
    run_id: str = ""
    host: str = ""
    recorded_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    generation: int = FIRST_GENERATION
    step_version: int = 1
    seconds: float = 0.0
    cost_usd: float = 0.0
    checkpoint_sha256: str = ""
    media_sha256: str = ""
    is_forced: bool = False
    details: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        complaints = [*_wrong_state(self), *_wrong_inputs(self)]
        if complaints:
            raise LineageMismatchError(
                "; ".join(complaints),
                rule="a record must say whole and true what was made from what",
                where=f"{self.table} of {self.title_id or self.fingerprint}",
            )

    @classmethod
    def of(cls, identity: Identity, *, asset: str = "", **rest: Any) -> LedgerRecord:
        """A record on the value `identity`; `rest` are further fields."""
        return cls(
            asset=asset or TABLES[identity.table].asset,
            table=identity.table,
            title_id=identity.title_id,
            producer_id=identity.producer_id,
            fingerprint=identity.fingerprint,
            producer=identity.producer,
            inputs=identity.inputs,
            **rest,
        )

    def as_row(self) -> dict[str, Any]:
        """The record as one row of `LEDGER_SCHEMA`."""
        row: dict[str, Any] = {_COLUMN.get(item.name, item.name): getattr(self, item.name) for item in fields(self)}
        row["state"] = self.state.value
        row["inputs"], row["facets"] = sorted(self.inputs.items()), sorted(self.facets.items())
        row["producer"], row["details"] = canonical_json(dict(self.producer)), canonical_json(dict(self.details))
        row["recorded_at"] = self.recorded_at.astimezone(UTC).replace(tzinfo=None)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> LedgerRecord:
        """The inverse of `as_row`; maps may come as dicts or as pairs, and further columns are ignored."""
        values = {item.name: row[_COLUMN.get(item.name, item.name)] for item in fields(cls)}
        values["state"] = TitleState(values["state"])
        values["inputs"], values["facets"] = dict(values["inputs"]), dict(values["facets"])
        values["producer"], values["details"] = json.loads(values["producer"]), json.loads(values["details"])
        values["recorded_at"] = values["recorded_at"].replace(tzinfo=UTC)
        return cls(**values)


_COLUMN = {"table": "table_name"}
"""`table` is a word of SQL; the column is called otherwise."""

_TEXT_MAP = pa.map_(pa.string(), pa.string())

LEDGER_SCHEMA = pa.schema(
    [
        ("asset", pa.string()),
        ("table_name", pa.string()),
        ("title_id", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("producer_id", pa.string()),
        ("fingerprint", pa.string()),
        ("producer", pa.string()),
        ("inputs", _TEXT_MAP),
        ("facets", _TEXT_MAP),
        ("object_key", pa.string()),
        ("sha256", pa.string()),
        ("size_bytes", pa.int64()),
        ("num_rows", pa.int64()),
        ("run_id", pa.string()),
        ("host", pa.string()),
        ("recorded_at", pa.timestamp("us")),
        ("generation", pa.int64()),
        ("step_version", pa.int64()),
        ("seconds", pa.float64()),
        ("cost_usd", pa.float64()),
        ("checkpoint_sha256", pa.string()),
        ("media_sha256", pa.string()),
        ("is_forced", pa.bool_()),
        ("details", pa.string()),
    ]
)
"""A row of the ledger; `recorded_at` is UTC without a zone, so that SQL shows it alike everywhere."""


def _wrong_state(record: LedgerRecord) -> list[str]:
    complaints = []
    if record.state is TitleState.OK and record.reason:
        complaints.append(f"state ok with the reason {record.reason!r}")
    if record.state is not TitleState.OK and not record.reason:
        complaints.append(f"state {record.state} without a reason")
    if bool(record.object_key) != bool(record.sha256):
        complaints.append("an object without its sha256, or a sha256 without an object")
    if record.state is TitleState.OK and not record.fingerprint:
        complaints.append("state ok without a fingerprint")
    return complaints


def _wrong_inputs(record: LedgerRecord) -> list[str]:
    """Inputs are facets and parents by name; what is done has all but optional ones, so that `current` is known."""
    if record.table not in TABLES or record.table == "titles":
        unknown = set(record.facets) - set(FACETS)
        missing = set(FACETS) - set(record.facets) if record.table == "titles" and record.state is TitleState.OK else ()
        return [f"facets {sorted(unknown or missing)} unknown or missing"] if unknown or missing else []
    spec = TABLES[record.table]
    expected, known = {*spec.facets, *spec.parents}, {*spec.facets, *spec.possible_parents}
    wrong = set(record.inputs) - known
    if record.state is TitleState.OK:
        wrong |= expected - set(record.inputs)
    return [f"inputs {sorted(record.inputs)} instead of {sorted(expected)}"] if wrong else []
