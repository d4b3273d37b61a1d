"""`mediafm run`: a catalogue through the whole graph, in this process; only what is missing is done.

Belongs here: the order of the stages and what decides that a stage has work. Does not belong here: the work.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from mediafm.config import Config, load_profile
from mediafm.errors import ConflictError, NotFoundError
from mediafm.progress import Progress
from mediafm_pipelines import tags
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.execution import RunResult, run_assets
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.jobs import INGEST, REEMBED, RETRAIN, SERVE, ingest_assets
from mediafm_pipelines.orphans import fail_orphans
from mediafm_pipelines.partitions import TitleRange, contiguous_ranges, register_titles
from mediafm_pipelines.resources import WorkspaceResource
from mediafm_pipelines.untold import untold_titles


@dataclass
class CatalogRun:
    """One `mediafm run` under way.

    title_ids: what the run covers: the titles of its own catalogue, and those that came with imported vectors.
    problems: rows and sidecars of the catalogue that could not be used.
    results: the Dagster runs so far.
    """

    config: Config
    progress: Progress
    is_forced: bool = False
    retries_quarantined: bool = False
    title_ids: list[str] = field(default_factory=list)
    imported_ids: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    results: list[RunResult] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    wall_seconds: float = 0.0

    @property
    def faults(self) -> list[str]:
        """What failed in the runs, one sentence an asset."""
        return [f"{asset}: {reason}" for result in self.results for asset, reason in result.failed_assets.items()]

    def execute(self, catalog: str | None, labels: Sequence[str] = (), only: Sequence[str] | None = None) -> None:
        """Runs the stages.

        Args:
            catalog: a folder or manifest; None for all that the root knows.
            labels: label files for the probes, remembered by the root.
            only: ids of titles that the ingest is limited to.

        Raises:
            CatalogError: there is no such catalogue.
            NotFoundError: `only` names a title that no catalogue lists.
            ConfigError: the configuration cannot be used.
        """
        from mediafm.steps.device import resolve_device

        started = time.monotonic()
        if self.config.device != "auto":
            resolve_device(self.config.device)  # a wrong one is told before anything is done
        if self.config.servers.mlflow is not None:
            from mediafm.registry.registry import Registry

            Registry.of(self.config).set_up()  # and so is a server that would be missed after hours of work
        listed = self.take_catalog(catalog, labels)
        _check_listed(self.title_ids, only or ())
        with open_instance(self.config) as instance:
            self.orphans = fail_orphans(instance)
            register_titles(instance, self.title_ids)
            definitions = build_defs(self.config, {"workspace": self._workspace_resource()})
            self._ingest(definitions, instance, listed, only)
            self._retrain(definitions, instance)
            self._embed(definitions, instance)
        self._merge_ledger()
        self.wall_seconds = time.monotonic() - started

    def take_catalog(self, catalog: str | None, labels: Sequence[str] = ()) -> list[Any]:
        """What the catalogue lists; the root remembers it. Fills in `title_ids`, `imported_ids` and `problems`."""
        from mediafm.catalog.scan import scan_catalog
        from mediafm.probes.label_files import label_paths
        from mediafm.steps.catalogs import (
            imported_titles,
            remember_inputs,
            scan_known,
            usable_labels,
            without_forgotten,
        )

        label_paths([Path(item).expanduser() for item in labels])  # what was just given must be there
        with self._open() as work:
            scanned = scan_catalog(catalog, self.config.limits, work.buckets) if catalog else scan_known(work)
            found = without_forgotten(work, scanned)
            remember_inputs(work, [catalog] if catalog else [], labels)
            work.point_producers()
            problems = [*found.problems, *usable_labels(work)[1]]
            listed = [title.title_id for title in found.titles]
            self.imported_ids = imported_titles(work, besides=listed)
        self.title_ids = [*listed, *self.imported_ids]
        self.problems = [str(problem) for problem in problems]
        return list(found.titles)

    def _ingest(
        self,
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        listed: Sequence[Any],
        only: Sequence[str] | None,
    ) -> None:
        from mediafm.steps.encoders import free_encoders
        from mediafm.steps.plan import titles_to_ingest

        with self._open() as work:
            wanted = [title for title in listed if only is None or title.title_id in only]
            imported = [title_id for title_id in self.imported_ids if only is None or title_id in only]
            lacking = titles_to_ingest(work, wanted, imported)
            lacking += _others(lacking, self._untold(instance, work, wanted))
        assets = ingest_assets(load_profile(self.config.profile))
        try:
            for titles in self._ranges(instance, lacking):
                self._run(definitions, instance, assets, titles)
        finally:
            free_encoders()

    def _retrain(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        from mediafm.steps.promotion import needs_training

        with self._open() as work:
            needed = needs_training(work)
        if needed:
            self._run(definitions, instance, RETRAIN, None)

    def _embed(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        from mediafm.steps.contextual import champion_sha256
        from mediafm.steps.in_context import titles_to_embed
        from mediafm.steps.promotion import needs_serving
        from mediafm.steps.serving import embedded_titles

        with self._open() as work:
            champion, missing = champion_sha256(work), titles_to_embed(work)
            done = embedded_titles(work, champion)[0] if champion and self.is_forced else {}
            if champion:
                missing += _others(missing, untold_titles(instance, work.store, REEMBED[0], champion))
        wanted = [*missing, *_others(missing, [title_id for title_id in done if title_id in self.title_ids])]
        register_titles(instance, wanted)
        for titles in self._ranges(instance, wanted):
            self._run(definitions, instance, REEMBED, titles)
        with self._open() as work:
            needed = needs_serving(work)
        if needed:
            self._run(definitions, instance, SERVE, None)

    def _untold(self, instance: dg.DagsterInstance, work: Any, wanted: Sequence[Any]) -> list[str]:
        """What a killed run finished without a word to Dagster: a run over it costs nothing, and says it."""
        last = INGEST[-1]
        return untold_titles(instance, work.store, last, work.producer_ids[last], [one.title_id for one in wanted])

    def _merge_ledger(self) -> None:
        """Keeps the ledger in few files; where another process merges at this moment, it has done it."""
        from mediafm.store.compaction import compact

        with self._open() as work, contextlib.suppress(ConflictError):
            compact(work.store)

    def _ranges(self, instance: dg.DagsterInstance, wanted: Sequence[str]) -> list[TitleRange]:
        registered = instance.get_dynamic_partitions("titles")
        return contiguous_ranges(registered, wanted, self.config.orchestration.titles_per_run)

    def _run(
        self,
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        assets: Sequence[str],
        titles: TitleRange | None,
    ) -> None:
        run_tags = {tags.FORCE: str(self.is_forced).lower(), tags.RETRY: str(self.retries_quarantined).lower()}
        self.results += run_assets(definitions, instance, assets, titles, run_tags)

    def _workspace_resource(self) -> WorkspaceResource:
        return WorkspaceResource.of(self.config).showing(self.progress)

    def _open(self) -> Any:
        from mediafm.steps.workspace import Workspace

        return Workspace.open(self.config, is_forced=self.is_forced, retries_quarantined=self.retries_quarantined)


def _others(title_ids: Sequence[str], more: Sequence[str]) -> list[str]:
    """Those of `more` that are not among `title_ids`."""
    known = set(title_ids)
    return [title_id for title_id in more if title_id not in known]


def _check_listed(title_ids: Sequence[str], only: Sequence[str]) -> None:
    unknown = [title_id for title_id in only if title_id not in title_ids]
    if unknown:
        raise NotFoundError(
            f"no title {', '.join(map(repr, unknown))}",
            rule="a catalogue of this root lists each title that is asked for",
            remedy="`mediafm status` lists the titles.",
        )
