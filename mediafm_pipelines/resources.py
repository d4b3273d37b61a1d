"""The resource of the graph: the workspace that every asset works in.

Belongs here: what assets are given, how it is configured, and how long it lives.
Does not belong here: what is done with it (`mediafm.steps`).
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from mediafm.config import Config
from mediafm.progress import Progress
from mediafm_pipelines import tags
from mediafm_pipelines.orphans import claim_run

QUIET_SECONDS = 5.0
"""Between two lines of progress at least: each is written to Dagster's database on its own (our choice)."""


class LogProgress:
    """Progress as lines of Dagster's log: at most about ten a step, and few of one that is quickly done."""

    def __init__(self, log: dg.DagsterLogManager) -> None:
        self._log = log
        self._what, self._total, self._done = "", 0, 0
        self._said_at = 0.0

    def begin(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._said_at = time.monotonic()
        self._log.info(f"{what}: {total} to do" if total else f"{what} begins")

    def advance(self, note: str = "") -> None:
        self._done += 1
        every = max(1, self._total // 10)
        is_due = self._done % every == 0 and time.monotonic() - self._said_at >= QUIET_SECONDS
        if is_due or self._done == self._total:
            self._said_at = time.monotonic()
            of = f" of {self._total}" if self._total else ""
            self._log.info(f"{self._what}: {self._done}{of} {note}".rstrip())

    def end(self) -> None:
        """The last `advance` said so."""


class WorkspaceResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where assets work: the root's store and ledger, the profile's encoders, the device.

    One workspace lives for one step, and the decoding child ends with it; encoders stay loaded for the next step of the
    process (`mediafm.steps.encoders`).
    """

    config_json: str = Field(description="The whole configuration (mediafm.toml and flags) as JSON.")
    device: str = Field(default="auto", description="Where networks live: auto, cpu, cuda or cuda:N.")
    gpu_memory_fraction: float = Field(
        default=1.0, gt=0, le=1, description="The share of the GPU's memory that one process may take."
    )
    _progress: Any = PrivateAttr(default=None)

    def showing(self, progress: Progress) -> "WorkspaceResource":
        """This resource, with `progress` shown instead of logged. For runs in the caller's own process."""
        self._progress = progress
        return self

    @classmethod
    def of(cls, config: Config) -> "WorkspaceResource":
        """The resource of a configuration."""
        return cls(
            config_json=config.model_dump_json(),
            device=config.device,
            gpu_memory_fraction=config.orchestration.gpu_memory_fraction,
        )

    @property
    def settings(self) -> Config:
        return Config.model_validate_json(self.config_json).model_copy(update={"device": self.device})

    @contextmanager
    def open_outside_runs(self, name: str) -> Iterator[Any]:
        """A workspace for a sensor's tick, which is no run: the ledger's records say `name` and a number instead."""
        from mediafm.steps.workspace import Workspace

        with Workspace.open(self.settings, run_id=f"{name}-{uuid.uuid4().hex[:12]}") as workspace:
            yield workspace

    @contextmanager
    def open(self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Iterator[Any]:
        """A `mediafm.steps.workspace.Workspace` for the step of `context`, with its run recorded in the ledger.

        Whoever runs many steps, as the daemon does, leaves the ledger in few files.
        """
        from mediafm.steps.workspace import Workspace
        from mediafm.store.compaction import keep_few_files

        claim_run(context.instance, context.run)
        run_tags = dict(context.run.tags)
        progress = self._progress or LogProgress(context.log)
        with Workspace.open(
            self.settings,
            run_id=context.run.run_id,
            progress=progress,
            gpu_memory_fraction=self.gpu_memory_fraction,
            is_forced=run_tags.get(tags.FORCE) == "true",
            retries_quarantined=run_tags.get(tags.RETRY) == "true",
        ) as workspace:
            yield workspace
        keep_few_files(workspace.store)
