"""A catalogue through the whole graph, on Dagster's own instance: done once, done again, changed, broken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dagster as dg

from mediafm.progress import Silent
from mediafm.store.pointers import Pointers
from mediafm.store.store import Store
from mediafm.store.views import connect
from mediafm.types import TitleState
from mediafm_pipelines.catalog_run import CatalogRun
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.execution import run_assets
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.partitions import contiguous_ranges
from mediafm_pipelines.summary import run_summary, summary_text
from tests.pipelines.conftest import NUM_TITLES, RunCatalog, config_of


def select(root: Path, query: str) -> list[tuple[Any, ...]]:
    with connect(Store(root)) as connection:
        return connection.execute(query).fetchall()


CURRENT = "SELECT table_name, title_id, fingerprint, sha256 FROM current ORDER BY ALL"
"""What readers see. Contextual values are left to tests that may train."""


def test_a_first_run_ends_with_served_vectors_and_their_lineage(finished: CatalogRun) -> None:
    summary = run_summary(finished)
    assert summary["faults"] == []
    assert len(summary["titles"]["ok"]) == NUM_TITLES
    assert summary["shots"] > 20
    assert summary["checkpoint"]["provisional"] is True
    assert "video" in summary["checkpoint"]["skill_by_modality"]
    assert summary["checkpoint"]["model_version"] == 1
    root = finished.config.root_path
    sha256 = summary["checkpoint"]["sha256"]
    made_by = "SELECT DISTINCT checkpoint_sha256 FROM current WHERE table_name = 'contextual_embeddings'"
    assert select(root, made_by) == [(sha256,)]
    counts = select(root, "SELECT table_name, count(*) FROM current GROUP BY 1")
    assert {count for _, count in counts} == {NUM_TITLES}
    assert len(counts) == 11
    norms = select(root, "SELECT max(abs(list_cosine_similarity(vector, vector) - 1)) FROM contextual_embeddings")
    assert norms[0][0] < 1e-6
    assert "provisional" in summary_text(summary)


def test_a_second_run_does_nothing_at_all(finished: CatalogRun, drawn_catalog: Path) -> None:
    before = select(finished.config.root_path, "SELECT count(*) FROM ledger")
    again = CatalogRun(finished.config, Silent())
    again.execute(str(drawn_catalog))
    assert again.results == []
    assert select(finished.config.root_path, "SELECT count(*) FROM ledger") == before


def test_two_roots_come_to_the_same_values(finished: CatalogRun, catalog: Path, run_catalog: RunCatalog) -> None:
    other = run_catalog(catalog, root="other", labels=(str(catalog / "labels"),))
    assert select(other.config.root_path, CURRENT) == select(finished.config.root_path, CURRENT)


def test_a_corrected_subtitle_moves_the_text_and_what_follows(
    root: Path, catalog: Path, run_catalog: RunCatalog
) -> None:
    before = {(table, title): value for table, title, value, _ in select(root, CURRENT)}
    sidecar = sorted(catalog.glob("*.srt"))[0]
    title_id = next(title for _, title in before if sidecar.name.startswith(f"{title}."))
    sidecar.write_text(sidecar.read_text().replace("\n\n", " corrected\n\n", 1))
    again = run_catalog(catalog)
    assert again.faults == []
    after = {(table, title): value for table, title, value, _ in select(root, CURRENT)}
    contextual = {"contextual_embeddings", "title_embeddings"}
    moved = {key for key in after if after[key] != before[key] and key[0] not in contextual}
    assert moved == {(table, title_id) for table in ("titles", "cues", "text_embeddings", "fused_embeddings")}


def test_broken_files_are_set_aside_and_the_others_go_on(root: Path, catalog: Path, run_catalog: RunCatalog) -> None:
    sidecar = sorted(catalog.glob("*.srt"))[0]
    sidecar.write_text("no cue in here\n")
    (catalog / "zero.mp4").touch()
    (catalog / "text.mp4").write_text("this is no film\n" * 100)
    (catalog / "list.mp4").write_text("ffconcat version 1.0\nfile /etc/hostname\n")
    again = run_catalog(catalog)
    summary = run_summary(again)
    assert summary["titles"]["quarantined"] == ["list", "text", "zero"]
    assert len(summary["titles"]["ok"]) == NUM_TITLES
    assert "0 bytes" in summary["reasons"]["zero"]
    (noted,) = summary["notes"].values()
    assert "no cue that can be read" in noted[0]
    assert "note: " in summary_text(summary)
    assert "playlist" in summary["reasons"]["list"]
    assert run_catalog(catalog).results == [], "what is quarantined is not tried again by itself"
    retried = run_catalog(catalog, retries_quarantined=True)
    assert retried.results
    assert run_summary(retried)["titles"]["quarantined"] == ["list", "text", "zero"]


def test_a_title_that_fails_is_failed_alone(catalog: Path, tmp_path: Path) -> None:
    """The film vanishes between probing and cutting: its partition fails, the others are materialised and go on."""
    config = config_of(tmp_path / "root")
    with open_instance(config) as instance:
        started = CatalogRun(config, Silent())
        listed = started.take_catalog(str(catalog))
        ids = [title.title_id for title in listed]
        instance.add_dynamic_partitions("titles", ids)
        definitions = build_defs(config)
        (titles,) = contiguous_ranges(ids, ids, 64)
        assert run_assets(definitions, instance, ["raw_titles"], titles, {})[0].failed_assets == {}
        os.unlink(listed[2].uri)
        results = run_assets(definitions, instance, ["shots", "video_embeddings"], titles, {})
        assert list(results[0].failed_assets) == ["shots"]
        assert ids[2] in results[0].failed_assets["shots"]
        assert results[1].failed_assets == {}, "the titles that did not fail go on"
        materialised = instance.get_materialized_partitions(dg.AssetKey("shots"))
        assert materialised == set(ids) - {ids[2]}
    states = dict(select(tmp_path / "root", "SELECT title_id, state FROM title_status"))
    assert states[ids[2]] == TitleState.FAILED
    made = select(tmp_path / "root", "SELECT count(*) FROM current WHERE table_name = 'video_embeddings'")
    assert made == [(NUM_TITLES - 1,)]


def test_too_little_data_ends_well_and_says_why(catalog: Path, run_catalog: RunCatalog) -> None:
    for film in sorted(path for path in catalog.iterdir() if path.suffix in {".mp4", ".mkv"})[1:]:
        film.unlink()
    run = run_catalog(catalog)
    summary = run_summary(run)
    assert summary["faults"] == []
    assert summary["checkpoint"] is None
    assert "a checkpoint needs at least 20 shots" in summary["reason"]
    assert len(summary["titles"]["ok"]) == 1


def test_a_title_that_left_the_catalogue_is_marked(
    root: Path, drawn_catalog: Path, catalog: Path, run_catalog: RunCatalog
) -> None:
    moved = run_catalog(catalog)
    config, gone = moved.config, moved.title_ids[0]
    (elsewhere,) = [one for one in Pointers(Store(root)).read("inputs").value["catalogs"] if one == str(drawn_catalog)]
    Pointers(Store(root)).ensure("inputs", {"catalogs": [str(catalog)], "labels": []}, f"{elsewhere} is given up")
    for file in catalog.glob(f"{gone}.*"):
        file.unlink()
    with open_instance(config) as instance:
        (titles,) = contiguous_ranges(instance.get_dynamic_partitions("titles"), [gone], 64)
        run_assets(build_defs(config), instance, ["raw_titles"], titles, {})
    states = dict(select(root, "SELECT title_id, state FROM title_status"))
    assert states[gone] == TitleState.VANISHED
    assert (gone,) not in select(root, "SELECT DISTINCT title_id FROM current")


def test_a_title_says_its_own_numbers_and_the_run_says_that_its_are_the_runs(finished: CatalogRun) -> None:
    """One materialisation's metadata is copied to each partition of a run over several titles."""
    title_id = finished.title_ids[0]
    with open_instance(finished.config) as instance:
        chosen = dg.AssetRecordsFilter(asset_key=dg.AssetKey("shots"), asset_partitions=[title_id])
        (made,) = instance.fetch_materializations(chosen, limit=1).records
        (seen,) = instance.fetch_observations(chosen, limit=1).records
    of_run = made.asset_materialization.metadata
    of_title = seen.asset_observation.metadata
    ((num_shots,),) = select(
        finished.config.root_path, f"SELECT num_shots FROM title_status WHERE title_id = '{title_id}'"
    )
    assert of_title["rows_spans"].value == num_shots
    assert of_run["run_titles_ok"].value == NUM_TITLES
    assert of_run["run_rows_spans"].value > num_shots
    assert not [name for name in of_run if name.startswith(("rows_", "titles_"))]
