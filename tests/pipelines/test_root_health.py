"""What a finished root bears: files lost, labels that are gone, questions asked twice, planted faults."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mediafm.catalog.scan import scan_catalog
from mediafm.catalog.title import CatalogTitle
from mediafm.errors import CatalogError
from mediafm.progress import Silent
from mediafm.steps.catalogs import known_catalogs, remember_inputs, scan_known
from mediafm.steps.checks import QUESTIONS
from mediafm.steps.contact_sheets import draw_contact_sheets
from mediafm.steps.contextual import space_producers
from mediafm.steps.evaluation import evaluate_served, is_served_measured, root_labels
from mediafm.steps.features import stored_features, title_shots
from mediafm.steps.plan import titles_to_ingest
from mediafm.steps.serving import embedded_titles, serving_sha256
from mediafm.steps.titles import take_in
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import vectors_to_arrow
from mediafm.store.views import newest_rows, records
from mediafm.types import TitleState
from mediafm_pipelines.catalog_run import CatalogRun
from tests.pipelines.conftest import NUM_TITLES, config_of


@pytest.fixture
def work(root: Path) -> Iterator[Workspace]:
    with Workspace.open(config_of(root)) as opened:
        yield opened


@pytest.fixture
def listed(work: Workspace, drawn_catalog: Path) -> list[CatalogTitle]:
    return list(scan_catalog(str(drawn_catalog), work.config.limits).titles)


def lose(work: Workspace, table: str, title_id: str) -> None:
    work.store.discard(records(work.store, [table], [title_id])[-1].object_key)


def test_only_titles_that_changed_or_lack_a_value_are_planned(work: Workspace, listed: list[CatalogTitle]) -> None:
    ids = [title.title_id for title in listed]
    assert titles_to_ingest(work, listed) == []
    lose(work, "cues", ids[0])
    lose(work, "titles", ids[1])
    touched = replace(listed[2], modified_ns=listed[2].modified_ns + 1)
    assert titles_to_ingest(work, [*listed[:2], touched, *listed[3:]]) == ids[:3]
    work.is_forced = True
    assert titles_to_ingest(work, listed) == ids


def test_taking_in_probes_only_what_changed(work: Workspace, listed: list[CatalogTitle]) -> None:
    assert take_in(work, listed).num_made == 0
    lose(work, "titles", listed[0].title_id)
    changed = replace(listed[1], metadata=replace(listed[1].metadata, synopsis="another"))
    gone = replace(listed[2], uri=listed[2].uri + ".gone", size_bytes=1)
    report = take_in(work, [listed[0], changed, gone, *listed[3:]], ["nobody"])
    work.ledger.flush()
    assert report.num_made == 3
    assert report.titles(TitleState.VANISHED) == ["nobody"]
    assert len(report.titles(TitleState.OK)) == NUM_TITLES - 1
    rows = {row.title_id: row for row in newest_rows(work.store, "titles")}
    assert [rows[title.title_id].generation for title in listed[:4]] == [2, 2, 2, 1]
    assert work.store.files.exists(rows[listed[0].title_id].object_key)


def test_files_deleted_by_hand_are_made_again(root: Path, drawn_catalog: Path) -> None:
    with Workspace.open(config_of(root)) as work:
        ids = [title.title_id for title in work.all_titles()]
        before = {(row.table, row.title_id): row.sha256 for row in records(work.store, ["titles", "title_embeddings"])}
        lose(work, "titles", ids[0])
        lose(work, "title_embeddings", ids[1])
    again = CatalogRun(config_of(root), Silent())
    again.execute(str(drawn_catalog))
    assert again.faults == []
    with Workspace.open(config_of(root)) as work:
        after = {(row.table, row.title_id): row for row in records(work.store, ["titles", "title_embeddings"])}
        assert {key: row.sha256 for key, row in after.items()} == before
        assert all(work.store.files.exists(row.object_key) for row in after.values())


def test_the_newest_catalogue_comes_first_and_one_that_is_gone_is_a_problem(work: Workspace, catalog: Path) -> None:
    remember_inputs(work, [str(catalog)])
    assert known_catalogs(work)[0] == str(catalog)
    assert {title.uri.startswith(str(catalog)) for title in scan_known(work).titles} == {True}
    shutil.rmtree(catalog)
    found = scan_known(work)
    assert len(found.titles) == NUM_TITLES
    assert any(problem.where == str(catalog) for problem in found.problems)


def test_labels_that_are_gone_or_broken_are_left_out_and_named(work: Workspace, tmp_path: Path) -> None:
    whole = root_labels(work)
    assert whole is not None
    assert whole.sets
    broken, gone = tmp_path / "broken.parquet", tmp_path / "gone.jsonl"
    broken.write_text("no parquet")
    gone.write_text(json.dumps({"title_id": "x", "label": True}) + "\n")
    remember_inputs(work, [], [str(broken), str(gone)])
    gone.unlink()
    found = root_labels(work)
    assert found is not None
    assert found.sets == whole.sets
    assert {problem.where for problem in found.problems} >= {str(broken), str(gone)}


def test_labels_that_are_not_there_are_refused_when_they_are_given(root: Path, drawn_catalog: Path) -> None:
    with pytest.raises(CatalogError, match="no label file there"):
        CatalogRun(config_of(root), Silent()).execute(str(drawn_catalog), ("/nowhere/labels.jsonl",))


def test_a_root_whose_labels_are_all_gone_is_measured_without_them(work: Workspace, tmp_path: Path) -> None:
    work.pointers.ensure("inputs", {"catalogs": [], "labels": [str(tmp_path / "gone.jsonl")]}, "test")
    sha256 = serving_sha256(work)
    assert sha256 is not None
    evaluation, _ = evaluate_served(work, sha256, list(embedded_titles(work, sha256)[0]))
    assert evaluation.was_made
    assert not (evaluation.probes or {"rows": []})["rows"]


def test_a_question_is_answered_once_and_again_when_its_vectors_moved(work: Workspace) -> None:
    sha256 = serving_sha256(work)
    assert sha256 is not None
    ids = list(embedded_titles(work, sha256)[0])
    assert is_served_measured(work, sha256, ids)
    assert not evaluate_served(work, sha256, ids)[0].was_made
    row = newest_rows(work.store, "titles", ids[:1])[0]
    work.ledger.add(replace(row, facets={**row.facets, "metadata": "moved"}, generation=2))
    work.ledger.flush()
    assert not is_served_measured(work, sha256, ids), "contextual vectors depend on the metadata"


def test_a_sheet_is_drawn_once(work: Workspace) -> None:
    titles = work.all_titles()[:2]
    sheets = draw_contact_sheets(work, titles)
    times = {file: file.stat().st_mtime_ns for file in sheets.values()}
    assert all(file.read_bytes().startswith(b"\xff\xd8") for file in times)
    assert {file: file.stat().st_mtime_ns for file in draw_contact_sheets(work, titles).values()} == times


def test_features_stand_where_their_shots_stand(work: Workspace) -> None:
    titles = work.all_titles()
    shots = {one.title_id: len(one.start_seconds) for one in title_shots(work, titles)}
    for vectors in stored_features(work, titles, "text_embeddings")():
        assert vectors.num_shots == shots[vectors.title_id]
        assert not np.any(vectors.vectors[~vectors.is_present])


@pytest.mark.parametrize("question", ["left_out", "span_gaps", "count_mismatches", "vectors", "lineage"])
def test_a_sound_root_passes_every_check(work: Workspace, question: str) -> None:
    asset = "shots" if question == "span_gaps" else "contextual_embeddings"
    answer = QUESTIONS[question](work, asset)
    assert (answer.num_looked_at, answer.findings) == (NUM_TITLES, ())


def test_each_check_finds_its_planted_fault(work: Workspace) -> None:
    ids = [title.title_id for title in work.all_titles()]
    (spans,) = records(work.store, ["spans"], ids[:1])
    details = {**spans.details, "duration_seconds": 1e3}
    work.ledger.add(replace(spans, num_rows=spans.num_rows + 1, generation=2, details=details))
    (contextual,) = records(work.store, ["contextual_embeddings"], ids[1:2])
    path = work.store.root / contextual.object_key
    data = bytearray(path.read_bytes())
    data[4:12] = bytes(255 - byte for byte in data[4:12])
    path.unlink()
    path.write_bytes(data)
    row = newest_rows(work.store, "titles", ids[2:3])[0]
    work.ledger.add(
        replace(row, state=TitleState.FAILED, reason="gone", object_key="", sha256="", generation=row.generation + 1)
    )
    work.ledger.flush()
    assert [finding.split()[0] for finding in QUESTIONS["left_out"](work, "raw_titles").findings] == [ids[2]]
    assert "its shots last 1000.000 s" in QUESTIONS["span_gaps"](work, "shots").findings[0]
    assert QUESTIONS["count_mismatches"](work, "fused_embeddings").findings[0].startswith(ids[0])
    (finding,) = QUESTIONS["lineage"](work, "contextual_embeddings").findings
    assert finding.startswith(ids[1])


def test_vectors_of_another_norm_are_found(work: Workspace) -> None:
    row = records(work.store, ["title_embeddings"])[0]
    longer = np.full((1, 8), 1.0, np.float32)
    (title,) = work.titles([row.title_id], space_producers(work.store, row.checkpoint_sha256))
    work.store.discard(row.object_key)
    work.store.write(title.chain.identity("title_embeddings"), pa.table({"vector": vectors_to_arrow(longer)}))
    (finding,) = QUESTIONS["vectors"](work, "title_embeddings").findings
    assert finding.startswith(f"{row.title_id}: a norm is 1.8284 away")
