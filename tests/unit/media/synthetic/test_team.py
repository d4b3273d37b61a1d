"""Workers: their errors come back as they were, and a dead one is noticed."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mediafm.errors import MediaFMError, StoreError
from mediafm.media.synthetic import team, worker
from mediafm.media.synthetic.settings import TINY

SMALL = replace(TINY, num_scenes=1, width_px=64, height_px=36)


def test_an_error_of_a_worker_comes_back_with_its_title(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"title 0: .*No such file"):
        team.write_titles(tmp_path / "absent", 1, 0, SMALL, None, 1)


def test_a_worker_that_dies_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team.sys, "executable", "/bin/false")
    with pytest.raises(MediaFMError, match="title 0: the process that draws it ended"):
        team.write_titles(tmp_path, 1, 0, SMALL, None, 1)


def test_a_worker_answers_each_job_and_ends_with_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [{"index": i, "seed": 1, "settings": SMALL.as_json(), "directory": str(tmp_path)} for i in (0, 1)]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(json.dumps(job) + "\n" for job in jobs)))
    worker.main()
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert answers == [{"index": 0}, {"index": 1}]
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".mkv", ".mp4"]
