"""The workspace of a step: the root's store and ledger, the configuration, and what a run may know of titles."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mediafm.config import Config, Profile, load_profile
from mediafm.errors import IntegrityError
from mediafm.fusion import Space
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import RunInfo
from mediafm.media.info import MediaInfo
from mediafm.progress import Progress, Silent
from mediafm.s3.buckets import Buckets
from mediafm.steps.present import PresentTitle
from mediafm.steps.producers import Producer, configured_producers, configured_space
from mediafm.store.ledger import LedgerWriter
from mediafm.store.opening import open_buckets, open_store
from mediafm.store.pointers import PRODUCERS, Pointers
from mediafm.store.store import Store
from mediafm.store.views import newest_rows
from mediafm.types import Json

QUICK_SECONDS = 5.0
"""Titles of which more than `flush_every_titles` are done within this time share a file of the ledger (our choice)."""


@dataclass(kw_only=True)
class Workspace:
    """What every step works with; opened for one step, closed with its ledger flushed.

    gpu_memory_fraction: the share of a GPU's memory that this process may take.
    is_forced: make everything again although it is there; recorded.
    retries_quarantined: try quarantined titles again.
    is_configured: False where it works in the space of a checkpoint instead of the configured one: readers are not
        pointed to what it makes (`mediafm.steps.spaces`).
    """

    config: Config
    profile: Profile
    store: Store
    run: RunInfo
    ledger: LedgerWriter
    progress: Progress = field(default_factory=Silent)
    gpu_memory_fraction: float = 1.0
    is_forced: bool = False
    retries_quarantined: bool = False
    is_configured: bool = True

    @classmethod
    @contextmanager
    def open(
        cls,
        config: Config,
        *,
        run_id: str | None = None,
        progress: Progress | None = None,
        gpu_memory_fraction: float = 1.0,
        is_forced: bool = False,
        retries_quarantined: bool = False,
    ) -> Iterator[Workspace]:
        """A workspace of `config`'s root.

        Args:
            run_id: Dagster's run, or None outside Dagster.
        """
        store = open_store(config)
        run = RunInfo(run_id=run_id or f"library-{uuid.uuid4().hex[:12]}", host=socket.gethostname())
        flush_every = config.orchestration.flush_every_titles
        with LedgerWriter(store, run, flush_every, quick_seconds=QUICK_SECONDS) as ledger:
            yield cls(
                config=config,
                profile=load_profile(config.profile),
                store=store,
                run=run,
                ledger=ledger,
                progress=progress or Silent(),
                gpu_memory_fraction=gpu_memory_fraction,
                is_forced=is_forced,
                retries_quarantined=retries_quarantined,
            )

    @cached_property
    def pointers(self) -> Pointers:
        return Pointers(self.store)

    @cached_property
    def buckets(self) -> Buckets:
        """How `s3://` is reached, by catalogues and readers of media."""
        return open_buckets(self.config)

    @cached_property
    def space(self) -> Space:
        return configured_space(self.config, self.profile)

    @cached_property
    def producers(self) -> Mapping[str, Producer]:
        """What makes each table up to the fused vectors, as configured now."""
        return configured_producers(self.config, self.profile)

    @property
    def producer_ids(self) -> dict[str, str]:
        """The short fingerprint of each producer: the directories of the store, and Dagster's data versions."""
        return {
            table: Identity(table=table, title_id="", producer=producer, inputs={}).producer_id
            for table, producer in self.producers.items()
        }

    def point_producers(self) -> None:
        """Tells readers which producers are configured: what `current` means from now on."""
        if not self.is_configured:
            return
        value: dict[str, Json] = dict(self.producer_ids)
        self.pointers.ensure(PRODUCERS, value, "the configuration of a run")

    def titles(self, title_ids: Sequence[str], producers: Mapping[str, Producer] | None = None) -> list[PresentTitle]:
        """The present raw records of these titles, in the order asked for; titles never seen are left out."""
        records = {row.title_id: row for row in newest_rows(self.store, "titles", title_ids)}
        return [
            PresentTitle.of_record(records[title_id], producers or self.producers)
            for title_id in title_ids
            if title_id in records
        ]

    def all_titles(self, producers: Mapping[str, Producer] | None = None) -> list[PresentTitle]:
        """The present raw record of every title of the root, by id."""
        rows = newest_rows(self.store, "titles")
        return [PresentTitle.of_record(row, producers or self.producers) for row in rows]

    def discard_if_damaged(self, key: str, sha256: str) -> str:
        """Removes a stored value that is not what the ledger says, so that it is made again.

        Returns:
            What was found, one sentence; "" if the value is as recorded, or is not there at all.
        """
        if not self.store.files.exists(key):
            return ""
        try:
            self.store.verify_bytes(key, sha256)
        except IntegrityError as error:
            self.store.discard(key)
            return f"{key}: {error.seen}; {error.rule}; the damaged file was removed"
        return ""

    def title_row(self, title: PresentTitle) -> dict[str, Any]:
        """The stored row of `titles`: probed media and metadata."""
        table = self.store.read(title.object_key, expected_sha256=title.sha256)
        row: dict[str, Any] = table.to_pylist()[0]
        return row

    def media_info(self, title: PresentTitle) -> MediaInfo:
        return MediaInfo.from_json(json.loads(self.title_row(title)["info_json"]))

    def metadata(self, title: PresentTitle) -> dict[str, Json]:
        parsed: dict[str, Json] = json.loads(self.title_row(title)["metadata_json"])
        return parsed
