"""Audits of a root: the tree from the ledger, and the title's files read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mediafm.config import Config, load_profile
from mediafm.errors import ConfigError, IntegrityError
from mediafm.lineage.audit import audit_checkpoint, audit_title
from mediafm.lineage.audit_made import audit_encoder, audit_labels, audit_media, audit_moment, audit_stale
from mediafm.lineage.audit_tree import AuditNode
from mediafm.lineage.audited import DEFAULT_LIMIT, AuditedLedger
from mediafm.lineage.fingerprint import Identity
from mediafm.steps.existing import existing_store
from mediafm.steps.producers import configured_producers
from mediafm.store.audited import open_audited
from mediafm.store.current import Choice
from mediafm.store.pointers import CHAMPION, PRODUCERS, SERVING, Pointers
from mediafm.store.store import Store
from mediafm.store.tombstones import find_hold, find_tombstone
from mediafm.store.verify import verify_title
from mediafm.store.views import pointed
from mediafm.types import Json

MANIFEST = "manifest"
_SUBJECTS: Mapping[str, Callable[[AuditedLedger, str], AuditNode]] = {
    "checkpoint": audit_checkpoint,
    "encoder": audit_encoder,
    "media": audit_media,
    "labels": audit_labels,
}


@dataclass(frozen=True, kw_only=True)
class AuditRequest:
    """What is asked: one subject, or what is stale; or with a moment alone, what was current then.

    title_id, checkpoint, encoder, media, labels: the subject; a hash by its first digits.
    is_stale: titles whose current values are not those of the present configuration and inputs.
    as_of: the moment that is meant; now unless given.
    limit: how many titles or values are listed one by one; None for all.
    """

    title_id: str | None = None
    checkpoint: str | None = None
    encoder: str | None = None
    media: str | None = None
    labels: str | None = None
    is_stale: bool = False
    as_of: datetime | None = None
    limit: int | None = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        subjects = [*_SUBJECTS, "title_id"]
        num_subjects = sum(getattr(self, name) is not None for name in subjects) + self.is_stale
        if num_subjects > 1 or (not num_subjects and self.as_of is None):
            raise ConfigError(
                f"{num_subjects} subjects",
                rule="an audit is about one title, checkpoint, encoder, media file or set of labels, or about what is "
                "stale; or, with a moment alone, about all that was current then",
                remedy="Give one of --title, --checkpoint, --encoder, --media, --labels, --stale, --as-of.",
            )

    @property
    def titles_looked_at(self) -> list[str] | None:
        """The titles of which it has to be worked out what is current; None for all."""
        if self.title_id is not None:
            return [self.title_id]
        return [] if self.media is not None or self.labels is not None else None


ALL = 2**62


def audit_root(config: Config, request: AuditRequest) -> tuple[AuditNode, list[str]]:
    """The lineage that is asked for, and what is wrong with the title's files: they are read again.

    Raises:
        NotFoundError: the ledger knows no such subject.
    """
    store = existing_store(config)
    choice = None if request.as_of is None else pointed(store, request.as_of)
    if request.is_stale and request.as_of is None:
        choice = configured_choice(config, store)
    limit = ALL if request.limit is None else request.limit
    with open_audited(store, request.titles_looked_at, choice=choice, until=request.as_of, limit=limit) as ledger:
        tree = _tree(store, ledger, request)
        if request.title_id is None or request.as_of is not None:
            return tree, []
        try:
            verify_title(store, request.title_id, ledger.connection)
        except IntegrityError as error:
            return tree, [str(error)]
        return tree, []


def _tree(store: Store, ledger: AuditedLedger, request: AuditRequest) -> AuditNode:
    for name, audit in _SUBJECTS.items():
        subject = getattr(request, name)
        if subject is not None:
            return audit(ledger, subject)
    if request.title_id is not None:
        tree = audit_title(ledger, request.title_id)
        return replace(tree, facts={**tree.facts, **_kept_or_forgotten(store, request.title_id)})
    if request.is_stale:
        return audit_stale(ledger)
    assert request.as_of is not None  # the request was checked
    return audit_moment(ledger, request.as_of.isoformat(), _pointers_at(store, request.as_of))


def configured_choice(config: Config, store: Store) -> Choice:
    """The producers of the configuration as it is now, whatever the last run's was, and what serves."""
    configured = {
        table: Identity(table=table, title_id="", producer=producer, inputs={}).producer_id
        for table, producer in configured_producers(config, load_profile(config.profile)).items()
    }
    return replace(pointed(store), configured=configured)


def moment_of(text: str) -> datetime:
    """A moment that a person typed, in ISO 8601; without a zone it is UTC.

    Raises:
        ConfigError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"the time {text!r}",
            rule="a time is ISO 8601, as 2026-11-21 or 2026-11-21T14:30:00+01:00; UTC without a zone",
            where="--as-of",
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _kept_or_forgotten(store: Store, title_id: str) -> dict[str, Json]:
    """What the ledger does not say of a title: that it is held, or that it was forgotten, when and by whom."""
    tombstone, hold = find_tombstone(store, title_id), find_hold(store, title_id)
    facts: dict[str, Json] = {}
    if hold is not None:
        facts["held"] = hold.as_json()
    if tombstone is not None:
        facts["forgotten"] = tombstone.as_json()
    return facts


def _pointers_at(store: Store, moment: datetime) -> dict[str, Json]:
    pointers = Pointers(store)
    found: dict[str, Json] = {}
    for name in (SERVING, CHAMPION, MANIFEST, PRODUCERS):
        pointer = pointers.at(name, moment)
        found[name] = (
            None
            if pointer is None
            else {
                **pointer.value,
                "generation": pointer.generation,
                "moved_at": pointer.moved_at,
                "reason": pointer.reason,
            }
        )
    return found
