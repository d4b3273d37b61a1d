"""What the story of an evening plays with: a root under `dagster dev`, its films, a webhook, a browser."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from mediafm.config import Config, load_config
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.summary import root_status
from mediafm.store.store import Store
from mediafm.store.views import connect, records
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.orphans import UNFINISHED
from tests.e2e.browser import Browser
from tests.e2e.command import PROJECT_ROOT, Command
from tests.e2e.dagster_dev import DagsterDev, dagster_dev
from tests.e2e.evening_films import EveningFilms, films_ready
from tests.e2e.hook_server import HookServer, hook_server

SETTINGS = """
catalog = "films"
labels = ["ready/labels/clip_tone.jsonl"]
profile = "pooled.toml"

[training]
preset = "tiny"
max_steps = 150
save_every_steps = 20

[probes]
num_bootstrap = 20

[automation]
on = "all"

[automation.new_titles]
interval_seconds = 5

[automation.retrain]
interval_seconds = 5
min_titles = 4
min_hours_between = 0.01

[automation.reembed]
interval_seconds = 5

[automation.failures]
interval_seconds = 5
webhook = "{webhook}"
"""
POOL = "gpu"
READERS = """
SELECT title_id, fingerprint, checkpoint_sha256 FROM ledger SEMI JOIN current USING (title_id, table_name, fingerprint)
WHERE table_name = 'contextual_embeddings' AND state = 'ok'
"""


@dataclass(frozen=True)
class Evening:
    """The root of an evening."""

    config: Config
    films: EveningFilms
    server: DagsterDev
    hook: HookServer
    browser: Browser | None
    began: float

    def says(self, sentence: str) -> None:
        """A line of the evening's log, shown by `pytest -s`."""
        print(f"[{time.monotonic() - self.began:5.0f} s] {sentence}", flush=True)

    def mediafm(self, *arguments: str) -> dict[str, Any]:
        """The JSON that the real command prints, called in the folder as a user does."""
        done = Command(self.server.folder / "mediafm.toml").call(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def runs(self, job: str | None = None) -> list[dg.DagsterRun]:
        """Newest first."""
        with open_instance(self.config) as instance:
            return list(instance.get_runs(filters=dg.RunsFilter(job_name=job)))

    def run(self, run_id: str) -> dg.DagsterRun:
        with open_instance(self.config) as instance:
            found = instance.get_run_by_id(run_id)
        assert found is not None, run_id
        return found

    def is_idle(self) -> bool:
        """Whether no run is queued or under way."""
        chosen = dg.RunsFilter(statuses=[*UNFINISHED, dg.DagsterRunStatus.QUEUED])
        with open_instance(self.config) as instance:
            return not instance.get_run_ids(chosen, limit=1)

    def slot_holders(self) -> set[str]:
        """The runs that hold a slot of the pool."""
        with open_instance(self.config) as instance:
            info = instance.event_log_storage.get_concurrency_info(POOL)
        return {slot.run_id for slot in info.claimed_slots}

    def partitions(self) -> list[str]:
        with open_instance(self.config) as instance:
            return list(instance.get_dynamic_partitions("titles"))

    def title_states(self) -> dict[str, tuple[str, str]]:
        """Each title's state and reason, as `mediafm status` tells them."""
        return {title["title_id"]: (title["state"], title["reason"]) for title in root_status(self.config)["titles"]}

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with connect(Store(self.config.root_path)) as connection:
            return connection.execute(query).fetchall()

    def readers(self) -> dict[str, str]:
        """Each title that readers get, with the fingerprint of its vectors."""
        return {title_id: fingerprint for title_id, fingerprint, _ in self.sql(READERS)}

    def serving(self) -> str:
        """The one checkpoint by which readers get all that they get."""
        (sha256,) = {checkpoint for _, _, checkpoint in self.sql(READERS)}
        return str(sha256)

    def is_served(self, title_ids: Collection[str]) -> bool:
        """Whether readers get the champion's vectors of exactly these titles, and nothing is under way."""
        found = root_status(self.config)["rollout"]
        return bool(found and not found["is_under_way"] and self.is_idle() and set(self.readers()) == set(title_ids))

    def records(self, table: str) -> list[LedgerRecord]:
        """Records that belong to no single title, in the order of their time."""
        return sorted(records(Store(self.config.root_path), [table]), key=lambda record: record.recorded_at)

    def decided(self, num_titles: int) -> dict[str, Any] | None:
        """The gate's decision about a checkpoint that was trained on so many titles."""
        sizes = dict(self.sql("SELECT manifest_sha256, count(*) FROM manifest_titles GROUP BY ALL"))
        trained = {
            record.checkpoint_sha256
            for record in self.records("checkpoints")
            if sizes.get(str(record.inputs["manifest"])) == num_titles
        }
        found = [one.details for one in self.records("decisions") if one.details["candidate_sha256"] in trained]
        return dict(found[0]) if found else None

    def media_sha256(self, title_id: str) -> str:
        """Of the film as it lies in the watched folder."""
        return hashlib.sha256(self.films.in_watched(title_id).read_bytes()).hexdigest()

    def look(self, path: str, name: str, *words: str) -> None:
        """A picture of a page, which must say these words; none where there is no browser."""
        if self.browser is None:
            return
        said = self.browser.look(f"http://127.0.0.1:{self.server.port}{path}", name)
        missing = [word for word in words if word not in said]
        assert not missing, f"{path} does not say {missing}: {said[:5000]}"
        self.says(f"looked at {path}")


@contextmanager
def an_evening(folder: Path, num_titles: int, real_media: Path | None) -> Iterator[Evening]:
    """The root, empty, under `dagster dev` with every sensor on, its films ready beside it."""
    films = films_ready(folder, num_titles, real_media)
    lite = (PROJECT_ROOT / "mediafm" / "profiles" / "lite.toml").read_text()
    (folder / "pooled.toml").write_text(lite.replace('name = "lite"\n', f'name = "pooled"\npool = "{POOL}"\n', 1))
    with hook_server() as hook:
        (folder / "mediafm.toml").write_text(SETTINGS.format(webhook=hook.url))
        config = load_config(folder / "mediafm.toml", {"root": str(folder / ".mediafm")})
        began = time.monotonic()
        with dagster_dev(folder) as server:
            yield Evening(config, films, server, hook, Browser.found(folder), began)
