"""Files of truth and predictions, their faults, and the sweep over thresholds."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from mediafm.cli.score_shots import score_shots
from mediafm.errors import ConfigError, NotFoundError
from mediafm.shots.score import Transition
from mediafm.shots.score_files import read_predictions, read_truth
from mediafm.shots.score_sweep import THRESHOLDS, cuts_above, score_shot_files


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a file: text as it is, anything else as JSON."""

    def put(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return put


TWO = (Transition(49, 49), Transition(100, 110, "gradual"))
"""A hard cut, and ten frames from 100 to 109."""


@pytest.mark.parametrize(
    ("name", "content", "shape"),
    [
        ("scenes.txt", "0 48\n49 99\n110 150\n", None),
        ("bbc.csv", "0,48\n49, 99\n\n110;150 # the last\n", None),
        ("scenes.json", {"scenes": [[0, 48], [49, 99], [110, 150]]}, None),
        ("pairs.json", [[0, 48], [49, 99], [110, 150]], None),
        ("clipshots.json", {"film.mp4": {"transitions": [[48, 49], [99, 110]], "frame_num": 151}}, None),
        ("pairs.txt", "48 49\n99\t110", "transitions"),
    ],
)
def test_scenes_and_pairs_are_the_same_transitions(write: Any, name: str, content: Any, shape: str | None) -> None:
    assert read_truth(write(name, content), shape) == TWO


def test_our_own_truth_is_read_as_it_stands(shared_media: Path) -> None:
    path = shared_media / "boundaries" / "mixed.json"
    stored = json.loads(path.read_text())["transitions"]
    assert [(each.start_frame, each.end_frame, each.kind) for each in read_truth(path)] == [
        (each["start_frame"], each["end_frame"], each["kind"]) for each in stored
    ]


@pytest.mark.parametrize("content", ["49\n110\n", [49, 110], {"cuts": [49, 110]}, "0 48\n49 100\n110 150"])
def test_cuts_and_scenes_are_the_same_predictions(write: Any, content: Any) -> None:
    path = write("p.txt" if isinstance(content, str) else "p.json", content)
    assert read_predictions(path).cuts == (49, 110)


def test_scores_come_as_text_json_and_numpy(write: Any, tmp_path: Path) -> None:
    scores = [0.0, 0.25, 1.0]
    np.save(tmp_path / "one.npy", np.array(scores, np.float32))
    np.save(tmp_path / "two.npy", np.array([scores, [0.5] * 3]).T)
    files = [
        write("p.txt", "0.0\n0.25\n1.0"),
        write("two.txt", "0.000000 0.5\n0.250000 0.5\n1.000000 0.5\n"),
        write("p.json", scores),
        write("named.json", {"scores": scores}),
        tmp_path / "one.npy",
        tmp_path / "two.npy",
    ]
    for file in files:
        found = read_predictions(file).scores
        assert found is not None
        assert found.tolist() == scores, file


def test_whole_numbers_in_numpy_are_cuts(tmp_path: Path) -> None:
    np.save(tmp_path / "cuts.npy", np.array([5, 9]))
    assert read_predictions(tmp_path / "cuts.npy").cuts == (5, 9)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "0 48\nforty 99", r"a\.txt, line 2: 'forty 99'; a line holds numbers"),
        ("b.txt", "0 48\n40 99", r"b\.txt, line 2: 40 after 48; pairs come in order"),
        ("c.txt", "0 48\n48 99", r"c\.txt, line 2: frame 48 in two shots"),
        ("d.txt", "9\n\n5", r"d\.txt, line 3: 5 after 9; cuts are increasing"),
        ("e.txt", "0 48\n99 49", r"e\.txt, line 2: 99 49; two whole numbers"),
        ("f.json", '{"cuts": [1,\n 2', r"f\.json, line 2: broken JSON"),
        ("g.json", {"cuts": [1], "scenes": []}, r"g\.json: an object with cuts, scenes"),
        ("h.json", {"a": {"cuts": [True]}}, r"h\.json, a, cuts\[0\]: True"),
        ("i.json", 7, r"i\.json: a JSON int"),
        ("j.json", {"transitions": [{"start_frame": 5, "end_frame": 4}]}, r"transitions\[0\]: .*0 <= start <= end"),
        ("k.json", {"scores": [0.5]}, r"k\.json, scores: scores; truth is cuts"),
        ("l.txt", "0.5", r"l\.txt, line 1: \(0\.5,\); cuts are increasing whole numbers"),
    ],
)
def test_truth_that_is_wrong_is_answered_with_its_place(write: Any, name: str, content: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_truth(write(name, content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "0.5\n1.5", r"a\.txt, line 2: \[1\.5\]; a score in \[0, 1\]"),
        ("b.txt", "0.5 0.1\n0.5", r"b\.txt, line 2: \[0\.5\]; .* 2 numbers"),
        ("c.txt", "0.5\nnan", r"c\.txt, line 2: \[nan\]"),
        ("d.json", {"transitions": [[1, 2]]}, r"d\.json, transitions: transitions; predictions are cuts"),
        ("e.npy", "no array", r"e\.npy: no plain array"),
    ],
)
def test_predictions_that_are_wrong_are_answered_with_their_place(
    write: Any, name: str, content: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_predictions(write(name, content))


def test_nothing_pickled_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "bare.npy").write_bytes(pickle.dumps([0.5]))
    for name in ("objects.npy", "bare.npy"):
        with pytest.raises(ConfigError, match="nothing pickled"):
            read_predictions(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("absent.txt", "absent.npy"):
        with pytest.raises(NotFoundError, match=name):
            read_predictions(tmp_path / name)


def test_every_threshold_is_scored_and_the_best_is_named(write: Any) -> None:
    scores = [0.0] * 20
    scores[4], scores[9], scores[14] = 0.9, 0.6, 0.3
    report = score_shot_files(write("t.txt", "5\n10"), write("s.json", scores), tolerance_frames=0)
    by_threshold = {row.threshold: row for row in report.rows}
    assert tuple(by_threshold) == THRESHOLDS
    assert [by_threshold[each].num_cuts for each in (0.2, 0.5, 0.8, 0.95)] == [3, 2, 1, 0]
    assert report.best is by_threshold[0.5]
    assert report.best.score.f1 == 1.0
    assert [by_threshold[0.2].score.precision, by_threshold[0.2].score.recall] == [pytest.approx(2 / 3), 1.0]


def test_cuts_come_after_each_run() -> None:
    assert cuts_above(np.array([0.0, 0.9, 0.9, 0.0, 0.5, 0.9, 0.0]), 0.5) == (3, 6)


def test_the_verb_prints_a_table_or_one_object(write: Any) -> None:
    truth, cuts = write("t.txt", "0 48\n49 99\n110 150"), write("p.txt", "50\n90")
    told = CliRunner().invoke(score_shots, [str(truth), str(cuts)])
    assert told.exit_code == 0
    assert "2 transitions, tolerance 2 frames" in told.output
    assert "0.5000" in told.output
    asked = CliRunner().invoke(score_shots, [str(truth), str(cuts), "--tolerance", "10", "--json"])
    best = json.loads(asked.output)["best"]
    assert (best["num_found"], best["num_missed"], best["num_false"], best["f1"]) == (2, 0, 0, 1.0)
    assert best["threshold"] is None


def test_the_verb_sweeps_scores_and_marks_the_best(write: Any) -> None:
    told = CliRunner().invoke(score_shots, [str(write("t.txt", "2")), str(write("p.txt", "0.1\n0.7\n0.1\n"))])
    assert told.exit_code == 0
    (marked,) = [line for line in told.output.splitlines() if "*" in line]
    assert "0.5 " in marked
