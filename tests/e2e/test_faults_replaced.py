"""A film that is replaced under its path between probe and decode, or during either: no value under a wrong name."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm.extract.reader import CHILD_MODULE
from mediafm.store.store import sha256_of
from tests.e2e.command import Finished
from tests.e2e.faults import Attacked, select, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MADE_OF = """
SELECT DISTINCT c.table_name FROM current c JOIN ledger l USING (title_id, table_name, fingerprint)
WHERE title_id = '{title_id}' AND l.media_sha256 <> '{sha256}' AND l.state = 'ok'
"""
Replace = Callable[[Path, Path], None]


def put_in_its_place(other: Path, film: Path) -> None:
    """As an editor or `mv` does it: another file under the same name."""
    copy = film.with_name(f"{film.name}.copy")
    shutil.copyfile(other, copy)
    os.replace(copy, film)


def write_over(other: Path, film: Path) -> None:
    """As `cp` does it: other bytes in the same file."""
    shutil.copyfile(other, film)


@pytest.fixture
def films(few: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue that may be changed."""
    return Path(shutil.copytree(few, tmp_path / "films"))


def two_films(films: Path) -> tuple[Path, Path]:
    """The first film of the catalogue, and one to put over it: of the same container, so that the path can stay."""
    found = sorted(films.glob("*.mp4"))
    return found[0], found[1]


@pytest.fixture(scope="module")
def renewed(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """An undisturbed run of the catalogue as it is after the change."""
    folder = tmp_path_factory.mktemp("renewed")
    changed = Path(shutil.copytree(few, folder / "films"))
    film, other = two_films(changed)
    write_over(other, film)
    return Attacked.of(folder / "attacked").run(changed)


def stopped_child(attacked: Attacked, film: Path, holds: Callable[[], bool]) -> int:
    """The decoding child, stopped while it has the film open and `holds` says that the moment has come."""

    def stop() -> int:
        for child in attacked.processes():
            if CHILD_MODULE not in child.line or not holds() or not has_open(child.pid, film):
                continue
            os.kill(child.pid, signal.SIGSTOP)
            if has_open(child.pid, film):
                return child.pid
            os.kill(child.pid, signal.SIGCONT)
        return 0

    return int(wait_for("the film is being read", stop))


def has_open(pid: int, film: Path) -> bool:
    try:
        return any(os.readlink(link) == str(film) for link in Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_refused_then_completes(
    attacked: Attacked, process: subprocess.Popen[str], films: Path, renewed: Finished
) -> None:
    """The run that met the change says so or has seen nothing of it; the next one makes what the new content is."""
    code, summary, _ = attacked.ended(process)
    film, other = two_films(films)
    assert code == 3
    assert summary["titles"]["failed"] == [film.stem]
    assert "changed after it was taken in" in summary["reasons"][film.stem]
    assert "Run again" in summary["reasons"][film.stem]
    made = select(attacked.root, f"SELECT table_name FROM current WHERE title_id = '{film.stem}'")
    assert set(made) <= {("titles",), ("metadata_embeddings",)}, "nothing of the film itself"
    after = attacked.run(films)
    assert after.summary["titles"] == renewed.summary["titles"]
    attacked.assert_whole(renewed.root)
    ((sha256,),) = select(attacked.root, f"SELECT media_sha256 FROM title_status WHERE title_id = '{other.stem}'")
    of_old_bytes = select(attacked.root, MADE_OF.format(title_id=film.stem, sha256=sha256))
    assert of_old_bytes == [("metadata_embeddings",)], "made of the file beside the film, which is the same one"


def test_a_film_replaced_between_probe_and_decode(films: Path, renewed: Finished, tmp_path: Path) -> None:
    attacked = Attacked.of(tmp_path / "attacked")
    film, other = two_films(films)
    process = attacked.start(films)
    wait_for("all are taken in", lambda: any(attacked.root.glob("ledger/raw_titles/*.parquet")))
    put_in_its_place(other, film)
    assert_refused_then_completes(attacked, process, films, renewed)


@pytest.mark.parametrize("replace", [put_in_its_place, write_over], ids=lambda way: way.__name__)
def test_a_film_replaced_while_it_is_decoded(replace: Replace, films: Path, renewed: Finished, tmp_path: Path) -> None:
    attacked = Attacked.of(tmp_path / "attacked")
    film, other = two_films(films)
    process = attacked.start(films)
    child = stopped_child(attacked, film, lambda: any(attacked.root.glob("ledger/raw_titles/*.parquet")))
    replace(other, film)
    os.kill(child, signal.SIGCONT)
    assert_refused_then_completes(attacked, process, films, renewed)


def test_a_film_replaced_while_it_is_probed(films: Path, renewed: Finished, tmp_path: Path) -> None:
    """Its checksum is worked out by then, of the old bytes or of the new, or of both: no record may bear it."""
    attacked = Attacked.of(tmp_path / "attacked")
    film, other = two_films(films)
    contents = {sha256_of(film), sha256_of(other)}
    process = attacked.start(films)
    child = stopped_child(attacked, film, lambda: True)
    write_over(other, film)
    os.kill(child, signal.SIGCONT)
    code, summary, _ = attacked.ended(process)
    assert code == 3
    assert "changed" in summary["reasons"][film.stem]
    after = attacked.run(films)
    assert after.summary["titles"] == renewed.summary["titles"]
    attacked.assert_whole(renewed.root)
    named = select(attacked.root, f"SELECT media_sha256 FROM ledger WHERE title_id = '{film.stem}' AND state = 'ok'")
    assert {sha256 for (sha256,) in named} <= contents, "no record of bytes that no film ever had"
