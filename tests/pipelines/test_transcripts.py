"""Transcripts as Dagster runs them: before the shots, of titles without timed text alone, with a check."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg

from mediafm.config import Config
from mediafm.progress import Silent
from mediafm.steps.encoders import free_encoders
from mediafm.store.store import Store
from mediafm.store.views import connect
from mediafm_pipelines.catalog_run import CatalogRun
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.execution import run_assets
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.partitions import contiguous_ranges

SHIPPED = Path(__file__).resolve().parents[2] / "mediafm" / "profiles" / "lite.toml"
TRANSCRIBER = """
[transcriber]
name = "fake-transcriber"
"""


def test_titles_without_timed_text_are_transcribed_before_they_are_cut(drawn_catalog: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    film = min(drawn_catalog.glob("*.mp4"))
    shutil.copy(film, catalog / "bare.mp4")
    shutil.copy(film, catalog / "captioned.mp4")
    (catalog / "captioned.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwritten by hand\n")
    profile = tmp_path / "spoken.toml"
    profile.write_text(SHIPPED.read_text() + TRANSCRIBER)
    config = Config.model_validate({"root": str(tmp_path / "root"), "profile": str(profile)})
    started = CatalogRun(config, Silent())
    ids = [title.title_id for title in started.take_catalog(str(catalog))]
    definitions = build_defs(config)
    with open_instance(config) as instance:
        instance.add_dynamic_partitions("titles", ids)
        (titles,) = contiguous_ranges(ids, ids, 64)
        (result,) = run_assets(definitions, instance, ["raw_titles", "transcripts", "shots"], titles, {})
        free_encoders()
        assert result.failed_assets == {}
        event = instance.get_latest_materialization_event(dg.AssetKey("transcripts"))
        assert event is not None
        assert event.asset_materialization is not None
        table = str(event.asset_materialization.metadata["transcribed"].value)
        assert "| captioned | 0 |  | it has timed text of its own (captioned.srt) |" in table
    with connect(Store(config.root_path)) as connection:
        rows = connection.execute(
            "SELECT title_id, inputs['words'] IS NOT NULL FROM current WHERE table_name = 'cues' ORDER BY 1"
        ).fetchall()
    assert rows == [("bare", True), ("captioned", True)]
