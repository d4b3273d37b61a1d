"""A catalogue in which most films are damaged, by the real command: the run ends well, the good ones are done, and of
each bad one somebody is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mediafm.testing.mutations import MEDIA_KINDS, TEXT_KINDS, mutate
from tests.e2e.command import Command, finish

NUM_TEXTS = 6
TIMEOUT_SECONDS = 1200


@pytest.mark.slow
@pytest.mark.timeout(2 * TIMEOUT_SECONDS)
def test_a_catalogue_of_damaged_films_is_taken_in(command: Command, catalog: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(catalog, tmp_path / "catalog"))
    films = sorted(file for file in catalog.iterdir() if file.suffix in (".mp4", ".mkv"))
    good = {file.stem for file in films}
    damaged = set()
    for number, kind in enumerate(MEDIA_KINDS):
        film, other = films[number % len(films)], films[(number + 1) % len(films)]
        data = mutate(film.read_bytes(), kind, seed=7, name="film", index=number, other=other.read_bytes())
        (folder / f"damaged-{kind}{film.suffix}").write_bytes(data)
        damaged.add(f"damaged-{kind}")
    captions = next(catalog.glob("*.srt")).read_bytes()
    for number, kind in enumerate(TEXT_KINDS[-NUM_TEXTS:]):
        shutil.copy(films[0], folder / f"text-{kind}{films[0].suffix}")
        text = mutate(captions, kind, seed=7, name="captions", index=number, other=captions)
        (folder / f"text-{kind}.en.srt").write_bytes(text)
    texts = {f"text-{kind}" for kind in TEXT_KINDS[-NUM_TEXTS:]}
    root = tmp_path / "root"
    finish(command.start_run(folder, root), root, TIMEOUT_SECONDS)
    shown = command.call("status", *command.on(root), "--json")
    found = json.loads(shown.stdout)
    states = {title["title_id"]: title for title in found["titles"]}
    assert states.keys() == good | damaged | texts
    assert {states[title_id]["state"] for title_id in good | texts} == {"ok"}, "damaged text is no failure of a film"
    assert {title["state"] for title in states.values()} == {"ok", "quarantined"}
    for title in states.values():
        assert title["state"] == "ok" or "; " in title["reason"], title
        assert "the reading process failed" not in (title["reason"] or ""), title
        assert title["state"] != "ok" or title["shots"], title
    assert found["serving"] is not None
