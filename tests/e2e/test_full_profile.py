"""The way of the profile `full` on real titles: published architectures with small random weights, TransNetV2 with its
own, and a local endpoint that speaks the embeddings API."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mediafm.testing.embeddings_server import EmbeddingsServer
from mediafm.testing.small_weights import save_wav2vec2, write_small_profile
from tests.e2e.command import Command, Finished, select

TITLES = ("friday.mp4", "friday.vtt", "chromeicon.mp4", "sintel_part2.mp4", "sintel_part2.en.srt")
SETTINGS = """
profile = "weights/small.toml"
[training]
max_steps = 4
preset = "tiny"
[probes]
num_bootstrap = 10
"""
AFTER_AUDIO = {"audio_embeddings", "fused_embeddings"}
AFTER_TEXT = {"cues", "text_embeddings", "fused_embeddings"}
CONTEXTUAL = {"contextual_embeddings", "title_embeddings"}

Rows = set[tuple[str, str, str]]
"""Table, title and fingerprint of everything that the ledger says was made."""


@dataclass
class Stage:
    """A catalogue under a small full profile, and what each run of it left.

    made: what the ledger holds after each run.
    num_requests: what the endpoint had been asked by then.
    """

    folder: Path
    command: Command
    server: EmbeddingsServer
    made: list[Rows] = field(default_factory=list)
    num_requests: list[int] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def run(self) -> None:
        self.finished.append(self.command.run(self.folder / "catalog", self.root))
        query = "SELECT table_name, title_id, fingerprint FROM ledger WHERE state = 'ok' AND title_id <> ''"
        self.made.append({(str(table), str(title), str(value)) for table, title, value in select(self.root, query)})
        self.num_requests.append(self.server.num_requests)

    def new_since(self, run: int) -> Rows:
        return self.made[run] - self.made[run - 1]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, shared_media: Path) -> Iterator[Stage]:
    """Three runs: at first; after a subtitle was corrected; after another audio encoder came."""
    folder = tmp_path_factory.mktemp("full")
    (folder / "catalog").mkdir()
    for name in TITLES:
        shutil.copy(shared_media / "titles" / name, folder / "catalog" / name)
    (folder / "catalog" / "friday.json").write_text('{"title": "Friday", "synopsis": "Somebody says what day it is."}')
    (folder / "mediafm.toml").write_text(SETTINGS)
    with EmbeddingsServer() as server:
        write_small_profile(folder / "weights", base_url=server.base_url)
        stage = Stage(folder, Command(folder / "mediafm.toml"), server)
        stage.run()
        subtitle = folder / "catalog" / "friday.vtt"
        subtitle.write_text(re.sub(r"\b[Tt]he\b", "that", subtitle.read_text()))
        stage.run()
        shutil.rmtree(folder / "weights" / "wav2vec2")
        save_wav2vec2(folder / "weights" / "wav2vec2", seed=1)
        stage.run()
        yield stage


def test_every_title_has_every_vector(stage: Stage) -> None:
    assert stage.finished[0].summary["titles"]["ok"] == ["chromeicon", "friday", "sintel_part2"]
    widths = select(stage.root, "SELECT DISTINCT len(vector) FROM fused_embeddings")
    assert widths == [(24 + 24 + 64,)]
    ((num_shots,),) = select(stage.root, "SELECT count(*) FROM shots WHERE title_id = 'chromeicon'")
    assert 12 <= num_shots <= 16


def test_what_the_text_cost_stands_in_the_ledger(stage: Stage) -> None:
    rows = select(stage.root, "SELECT title_id, asset, num_tokens, num_bought, cost_usd FROM costs")
    assert {(title, asset) for title, asset, *_ in rows} >= {
        ("friday", "text_embeddings"),
        ("friday", "metadata_embeddings"),
    }
    assert all(tokens >= 0 and dollars == pytest.approx(tokens * 0.13e-6) for _, _, tokens, _, dollars in rows)
    assert sum(tokens for *_, tokens, _, _ in rows) > 0
    told = stage.command.call("cost", *stage.command.on(stage.root), "--json")
    assert json.loads(told.stdout)["total_usd"] == pytest.approx(sum(row[-1] for row in rows))


def test_another_audio_encoder_makes_sound_and_what_follows_and_nothing_else(stage: Stage) -> None:
    """What follows in context waits for a checkpoint of the new space to pass the gate."""
    assert {table for table, _, _ in stage.new_since(2)} - CONTEXTUAL == AFTER_AUDIO
    assert {title for table, title, _ in stage.new_since(2) if table == "audio_embeddings"} == {
        "chromeicon",
        "friday",
        "sintel_part2",
    }
    assert stage.num_requests[2] == stage.num_requests[1]


def test_a_corrected_subtitle_makes_its_text_and_what_follows_and_nothing_else(stage: Stage) -> None:
    assert {title for table, title, _ in stage.new_since(1) if table not in CONTEXTUAL} == {"friday"}
    assert {table for table, _, _ in stage.new_since(1)} - {"titles"} == AFTER_TEXT | CONTEXTUAL
    assert stage.num_requests[1] == stage.num_requests[0] + 1


def test_a_description_finds_shots_by_the_text_tower(stage: Stage) -> None:
    found = stage.command.call(
        "search", *stage.command.on(stage.root), "--text", "a red car at night", "--top", "3", "--json"
    )
    hits = json.loads(found.stdout)["hits"]
    assert len(hits) == 3
    assert hits[0]["score"] >= hits[1]["score"] >= hits[2]["score"]


def test_the_lineage_names_weights_by_their_content(stage: Stage) -> None:
    ((producer,),) = select(
        stage.root, "SELECT DISTINCT producer FROM ledger WHERE table_name = 'video_embeddings' AND state = 'ok'"
    )
    encoder = json.loads(producer)["encoder"]
    assert encoder["revision"].startswith("sha256:")
    assert str(stage.folder) not in producer
