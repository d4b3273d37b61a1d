"""`mediafm import-embeddings` and `mediafm export` as users start them: what is printed, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mediafm.cli.exit_codes import EXIT_FAILED, EXIT_USAGE
from mediafm.cli.main import library


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "feats.npz"
    np.savez(path, title_id=np.array(["a", "a", "b"]), video=np.ones((3, 4)), position=np.array([0, 1, 0]))
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(library, [str(each) for each in arguments])


def bring(tmp_path: Path, file: Path, *more: object) -> Result:
    return call("import-embeddings", file, "--root", tmp_path / "root", *more)


def test_in_and_out_again(tmp_path: Path, file: Path) -> None:
    found = bring(tmp_path, file, "--write-profile", tmp_path / "p.toml", "--feature-set", "ones", "--json")
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    assert (report["titles"], report["shots"], report["present"]) == (2, 3, {"video": 3})
    assert 'feature_set = "ones"' in (tmp_path / "p.toml").read_text()
    out = tmp_path / "out.npz"
    exported = call("export", out, "--table", "video_embeddings", "--root", tmp_path / "root", "--json")
    assert json.loads(exported.stdout)["format"] == "npz"
    with np.load(out, allow_pickle=False) as archive:
        assert archive["shot_index"].tolist() == [0, 1, 0]
    again = call("export", out, "--table", "video_embeddings", "--root", tmp_path / "root")
    assert again.exit_code == EXIT_USAGE
    assert "no file is overwritten unasked" in again.stderr


def test_people_are_told_what_comes_next(tmp_path: Path, file: Path) -> None:
    said = bring(tmp_path, file, "--write-profile", tmp_path / "p.toml").stdout
    assert "2 titles (0 as before), 0 refused; 3 shots: 3 with video" in said
    assert f"next: mediafm run --root {tmp_path / 'root'} --profile {tmp_path / 'p.toml'}" in said


def test_refused_titles_end_with_three_and_the_others_are_in(tmp_path: Path, file: Path) -> None:
    np.savez(file, title_id=np.array(["a", "a", "b"]), video=np.ones((3, 4)), position=np.array([0, 2, 0]))
    found = bring(tmp_path, file, "--write-profile", tmp_path / "p.toml", "--json")
    assert found.exit_code == EXIT_FAILED
    report = json.loads(found.stdout)
    assert report["made"] == ["b"]
    assert "no position 1 between 0 and 2" in report["refused"][0]["reason"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ((), "video comes from the encoder 'lite-video'"),
        (("--modality", "smell"), "it is one of video, audio, text"),
        (("--modality", "video", "--modality", "video=x"), "each once"),
        (("--modality", "audio=absent"), "no vectors in 'absent'"),
    ],
)
def test_wrong_usage_ends_with_two(tmp_path: Path, file: Path, more: tuple[str, ...], sentence: str) -> None:
    found = bring(tmp_path, file, *more)
    assert found.exit_code == EXIT_USAGE
    assert sentence in found.stderr
    assert not (tmp_path / "root" / "store").exists()
