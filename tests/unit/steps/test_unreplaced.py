"""A file that is replaced after it was taken in gives no value under its old content's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm.catalog.scan import scan_catalog
from mediafm.encoders.fake_transcriber import tones
from mediafm.errors import IntegrityError, NotFoundError, UnusableMediaError
from mediafm.s3.buckets import Buckets
from mediafm.s3.settings import S3Settings
from mediafm.steps.embeddings import AudioEmbeddingsStep
from mediafm.steps.present import PresentTitle
from mediafm.steps.runner import run_step
from mediafm.steps.shots import ShotsStep
from mediafm.steps.step import TitleStep
from mediafm.steps.titles import take_in
from mediafm.steps.unreplaced import unreplaced
from mediafm.steps.workspace import Workspace
from mediafm.types import TitleState
from tests.unit.steps.test_transcripts import SRT, film

NOWHERE = Buckets(S3Settings(), Path("nowhere"))
"""Nothing here lies in one."""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir()
    film(folder / "a.mkv", tones("at dawn"))
    (folder / "a.srt").write_text(SRT)
    return folder


@pytest.fixture
def title(workspace: Workspace, catalog: Path) -> PresentTitle:
    return taken_in(workspace, catalog)


def taken_in(workspace: Workspace, catalog: Path) -> PresentTitle:
    take_in(workspace, scan_catalog(str(catalog), workspace.config.limits).titles)
    workspace.ledger.flush()
    (title,) = workspace.titles(["a"])
    return title


def replace_film(catalog: Path) -> None:
    film(catalog / "a.mkv", tones("the seven samurai"))


def replace_text(catalog: Path) -> None:
    (catalog / "a.srt").write_text(SRT.replace("hand", "another hand"))


@pytest.mark.parametrize("change", [replace_film, replace_text])
@pytest.mark.parametrize("fault", [None, UnusableMediaError("half a file", rule="files are whole")])
def test_a_change_while_it_is_read_is_what_went_wrong(
    title: PresentTitle, catalog: Path, change: Callable[[Path], None], fault: Exception | None
) -> None:
    def read() -> None:
        change(catalog)
        if fault is not None:
            raise fault

    with (
        pytest.raises(IntegrityError, match=r"changed after it was taken in.*Run again"),
        unreplaced(title, NOWHERE),
    ):
        read()


def test_what_nobody_touched_is_read_and_its_own_errors_pass(title: PresentTitle, catalog: Path) -> None:
    with unreplaced(title, NOWHERE):
        pass
    with pytest.raises(UnusableMediaError, match="half a file"), unreplaced(title, NOWHERE):
        raise UnusableMediaError("half a file", rule="files are whole")
    (catalog / "a.mkv").unlink()
    with pytest.raises(NotFoundError, match="gone"), unreplaced(title, NOWHERE):
        raise NotFoundError("gone", rule="it is there")


@pytest.mark.parametrize("make", [ShotsStep, AudioEmbeddingsStep])
def test_no_step_reads_a_replaced_film_under_its_old_name(
    workspace: Workspace, catalog: Path, title: PresentTitle, make: Callable[[Workspace], TitleStep]
) -> None:
    if make is AudioEmbeddingsStep:
        assert run_step(workspace, ShotsStep(workspace), [title]).counts() == {"ok": 1}
    replace_film(catalog)
    step = make(workspace)
    (outcome,) = run_step(workspace, step, [title]).outcomes
    assert outcome.state is TitleState.FAILED
    assert "a.mkv changed after it was taken in" in outcome.reason
    assert not any(workspace.store.has(title.chain.identity(table)) for table in step.tables)
    renewed = taken_in(workspace, catalog)
    reports = [run_step(workspace, one, [renewed]) for one in (ShotsStep(workspace), step)]
    assert [report.counts() for report in reports] == [{"ok": 1}, {"ok": 1}]


@pytest.mark.parametrize("name", ["a.mkv", "a.srt"])
def test_a_file_that_changed_since_the_scan_is_not_taken_in_half(
    name: str, workspace: Workspace, catalog: Path
) -> None:
    scanned = scan_catalog(str(catalog), workspace.config.limits).titles
    with (catalog / name).open("ab") as file:
        file.write(b"\n")
    (outcome,) = take_in(workspace, scanned).outcomes
    assert outcome.state is TitleState.FAILED
    assert f"{name} changed after it was listed" in outcome.reason
    (outcome,) = take_in(workspace, scan_catalog(str(catalog), workspace.config.limits).titles).outcomes
    assert outcome.state is TitleState.OK
