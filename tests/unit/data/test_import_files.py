"""Files of vectors that were made elsewhere: what is read, in which order, and what is refused with which sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.data.import_files import ImportFile, open_import
from mediafm.data.import_titles import ImportedTitle, RefusedTitle
from mediafm.errors import ConfigError
from mediafm.types import Modality

WIDTH = 3
Columns = dict[str, Any]


def vectors_of(num_rows: int, width: int = WIDTH) -> np.ndarray:
    return (1 + np.arange(num_rows * width, dtype=np.float32)).reshape(num_rows, width)


def columns_of(**changed: Any) -> Columns:
    """Two titles of two shots each, `b` first, its rows in the wrong order."""
    return {
        "title_id": np.array(["b", "b", "a", "a"]),
        "position": np.array([1, 0, 0, 1]),
        "video": vectors_of(4),
        **changed,
    }


def write(folder: Path, columns: Columns, suffix: str) -> Path:
    path = folder / f"feats{suffix}"
    if suffix == ".npz":
        np.savez(path, **{name: np.asarray(values) for name, values in columns.items()})
    else:
        plain = {
            name: list(values) if isinstance(values, np.ndarray) and values.ndim > 1 else values
            for name, values in columns.items()
        }
        pq.write_table(pa.table(plain), path)
    return path


def titles_of(file: ImportFile) -> dict[str, ImportedTitle]:
    found = list(file.titles())
    assert not [each for each in found if isinstance(each, RefusedTitle)], found
    return {each.name: each for each in found if isinstance(each, ImportedTitle)}


def refusal(path: Path, asked: dict[Modality, str] | None = None) -> str:
    """The one sentence that the file's one bad title is refused with."""
    (refused,) = [each for each in open_import(path, asked or {}).titles() if isinstance(each, RefusedTitle)]
    return refused.reason


@pytest.fixture(params=[".npz", ".parquet"])
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_rows_are_put_in_the_order_that_the_file_says(tmp_path: Path, suffix: str) -> None:
    titles = titles_of(open_import(write(tmp_path, columns_of(), suffix), {}))
    assert list(titles) == ["b", "a"]
    np.testing.assert_array_equal(titles["b"].vectors[Modality.VIDEO], vectors_of(4)[[1, 0]])
    np.testing.assert_array_equal(titles["a"].vectors[Modality.VIDEO], vectors_of(4)[[2, 3]])


def test_rows_of_titles_may_be_mixed(tmp_path: Path, suffix: str) -> None:
    mixed = columns_of(title_id=np.array(["a", "b", "a", "b"]), position=np.array([0, 0, 1, 1]))
    titles = titles_of(open_import(write(tmp_path, mixed, suffix), {}))
    np.testing.assert_array_equal(titles["b"].vectors[Modality.VIDEO], vectors_of(4)[[1, 3]])


def test_a_row_of_zeros_is_absent_and_one_just_above_is_not(tmp_path: Path, suffix: str) -> None:
    vectors = vectors_of(4)
    vectors[0], vectors[1] = 0.0, [5e-7, 0, 0]
    vectors[2] = [2e-6, 0, 0]
    titles = titles_of(open_import(write(tmp_path, columns_of(video=vectors), suffix), {}))
    assert titles["b"].is_present[Modality.VIDEO].tolist() == [False, False]
    assert titles["a"].is_present[Modality.VIDEO].tolist() == [True, True]
    assert not titles["b"].vectors[Modality.VIDEO].any()


def test_a_null_is_absent(tmp_path: Path) -> None:
    columns = columns_of(video=[[1.0, 2.0, 3.0], None, [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    titles = titles_of(open_import(write(tmp_path, columns, ".parquet"), {}))
    assert titles["b"].is_present[Modality.VIDEO].tolist() == [False, True]


def test_positions_may_begin_anywhere_and_shot_indexes_may_not(tmp_path: Path, suffix: str) -> None:
    later = columns_of(position=np.array([6, 5, 0, 1]))
    assert titles_of(open_import(write(tmp_path, later, suffix), {}))["b"].num_shots == 2
    columns = columns_of(shot_index=np.array([6, 5, 0, 1]))
    assert "the first shot_index is 5; shot indexes begin at 0" in refusal(write(tmp_path, columns, suffix))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"position": np.array([0, 0, 0, 1])}, "title b: position 0 twice"),
        ({"position": np.array([3, 0, 0, 1])}, "title b: no position 1 between 0 and 3"),
        ({"position": np.array([0.5, 0, 0, 1])}, "position = 0.5 in its row 0"),
        ({"position": np.array([np.nan, 0, 0, 1])}, "position = nan"),
        ({"position": np.array([-1, 0, 0, 1])}, "a position is a whole number from 0"),
        ({"start_seconds": [5.0, 1.0, 0, 1], "end_seconds": [5.0, 2.0, 1, 2]}, "position 1 goes from 5.0 to 5.0 s"),
        ({"start_seconds": [np.nan, 1.0, 0, 1], "end_seconds": [3.0, 2.0, 1, 2]}, "position 1 goes from nan to 3.0 s"),
        ({"start_seconds": [0.0, 9.0, 0, 1], "end_seconds": [1.0, 10.0, 1, 2]}, "begins before the one before it"),
    ],
)
def test_a_bad_title_is_refused_alone(tmp_path: Path, suffix: str, changed: Columns, sentence: str) -> None:
    path = write(tmp_path, columns_of(**changed), suffix)
    assert sentence in refusal(path)
    assert [each.name for each in open_import(path, {}).titles() if isinstance(each, ImportedTitle)] == ["a"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_numbers_that_are_not_finite_are_refused_with_title_and_position(
    tmp_path: Path, suffix: str, bad: float
) -> None:
    vectors = vectors_of(4).astype(np.float64)
    vectors[0, 1] = bad
    reason = refusal(write(tmp_path, columns_of(video=vectors), suffix))
    assert "title b: the video vector at position 1 is not finite" in reason


def test_vectors_of_two_widths_are_refused(tmp_path: Path) -> None:
    columns = columns_of(video=[[1.0, 2.0, 3.0], [1.0, 2.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    assert "2 numbers in the video vector of row 1; the first vector of video has 3" in refusal(
        write(tmp_path, columns, ".parquet")
    )


def test_a_row_without_a_title_is_refused(tmp_path: Path) -> None:
    columns = columns_of(title_id=["b", "b", None, "a"], position=[0, 1, 0, 0])
    assert "1 rows without a title_id" in refusal(write(tmp_path, columns, ".parquet"))


def test_ids_that_differ_in_case_alone_are_refused(tmp_path: Path, suffix: str) -> None:
    columns = columns_of(title_id=np.array(["B", "B", "b", "b"]))
    assert "the id 'b' beside 'B'; ids of titles differ in more than their case" in refusal(
        write(tmp_path, columns, suffix)
    )


def test_a_name_that_is_no_safe_id_gets_one(tmp_path: Path, suffix: str) -> None:
    columns = columns_of(title_id=np.array(["../b", "../b", "_a", "_a"]))
    ids = {name: title.title_id for name, title in titles_of(open_import(write(tmp_path, columns, suffix), {})).items()}
    assert ids["../b"].startswith("b-")
    assert ids["_a"].startswith("a-")


def test_object_arrays_are_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "trap.npz"
    np.savez(path, video=np.array([Trap(), None], dtype=object), title_id=np.array(["a", "a"]))
    with pytest.raises(ConfigError, match=r"no vectors in 'video' \(an array of Python objects, which could run code"):
        open_import(path, {Modality.VIDEO: ""})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["cut.npz", "cut.parquet"])
def test_a_damaged_file_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    whole = write(tmp_path, columns_of(), Path(name).suffix).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"cannot be read .* Save it again|cannot be read .* Write the file again"):
        open_import(tmp_path / name, {})


def test_other_files_are_no_files_of_vectors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file that ends in \.parquet or \.npz"):
        open_import(tmp_path / "absent.npz", {})
    (tmp_path / "a.csv").write_text("title_id\n")
    with pytest.raises(ConfigError, match="vectors are imported from Parquet or NPZ"):
        open_import(tmp_path / "a.csv", {})


def test_what_a_file_lacks_is_said(tmp_path: Path, suffix: str) -> None:
    without = columns_of()
    del without["title_id"]
    with pytest.raises(ConfigError, match="no title_id; rows say whose they are"):
        open_import(write(tmp_path, without, suffix), {})
    other = {"title_id": np.array(["a"]), "clip": vectors_of(1)}
    with pytest.raises(ConfigError, match=r"columns of vectors: clip; .* Say which is which"):
        open_import(write(tmp_path, other, suffix), {})
    with pytest.raises(ConfigError, match="no vectors in 'audio'; its columns of vectors are clip"):
        open_import(write(tmp_path, other, suffix), {Modality.AUDIO: ""})
    half = columns_of(start_seconds=np.zeros(4))
    with pytest.raises(ConfigError, match="start_seconds without its other end"):
        open_import(write(tmp_path, half, suffix), {})


def test_arrays_of_other_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="position has 3 rows, the vectors 4"):
        open_import(write(tmp_path, columns_of(position=np.arange(3)), ".npz"), {})


def test_columns_are_named_or_usual(tmp_path: Path, suffix: str) -> None:
    columns = {"title_id": np.array(["a"]), "vector": vectors_of(1), "clip": vectors_of(1, 5)}
    path = write(tmp_path, columns, suffix)
    assert open_import(path, {Modality.AUDIO: ""}).layout.widths == {Modality.AUDIO: 3}
    asked = {Modality.TEXT: "vector", Modality.VIDEO: "clip"}
    assert open_import(path, asked).layout.widths == {Modality.VIDEO: 5, Modality.TEXT: 3}


def test_texts_and_labels_follow_their_shots(tmp_path: Path, suffix: str) -> None:
    columns = columns_of(transcript=np.array(["two", "one", "", " x "]), label=np.array([1, 0, 0, 1]))
    titles = titles_of(open_import(write(tmp_path, columns, suffix), {}))
    assert titles["b"].texts == ("one", "two")
    assert titles["a"].texts == (None, "x")
    assert titles["b"].labels == (
        {"title_id": "b", "shot_index": 0, "task": "feats_label", "label": False},
        {"title_id": "b", "shot_index": 1, "task": "feats_label", "label": True},
    )


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("label", np.array([3, 1, 2, 0]), [{"label": "1"}, {"label": "3"}]),
        ("label", np.array(["x", "", "y", "z"]), [{"label": "x"}]),
        ("label", np.array([0.5, -3.0, 0.0, 1.0]), [{"score": -3.0}, {"score": 0.5}]),
        ("score", np.array([0.5, np.nan, 0.0, 1.0]), [{"score": 0.5}]),
    ],
)
def test_each_kind_of_label_is_said_as_label_files_say_it(
    tmp_path: Path, suffix: str, column: str, values: np.ndarray, expected: list[dict[str, Any]]
) -> None:
    titles = titles_of(open_import(write(tmp_path, columns_of(**{column: values}), suffix), {}))
    said = [{key: row[key] for key in row if key in ("label", "score")} for row in titles["b"].labels]
    assert said == expected
    json.dumps(titles["b"].labels)


def test_lists_of_labels(tmp_path: Path) -> None:
    path = write(tmp_path, columns_of(labels=[["x", "y"], [], None, ["z"]]), ".parquet")
    assert [row["labels"] for row in titles_of(open_import(path, {}))["b"].labels] == [[], ["x", "y"]]


def test_stacked_arrays_are_a_title_a_row(tmp_path: Path) -> None:
    path = tmp_path / "stacked.npz"
    scores = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    np.savez(path, audio=np.ones((3, 2, 4)), scores=scores, split=np.array(["train"] * 3))
    file = open_import(path, {}, title_prefix="t-")
    titles = titles_of(file)
    assert list(titles) == ["t-00000", "t-00001", "t-00002"]
    assert titles["t-00002"].vectors[Modality.AUDIO].shape == (2, 4)
    said = {name: [row["score"] for row in title.labels] for name, title in titles.items()}
    assert said == {"t-00000": [1.0, 5.0], "t-00001": [2.0, 5.0], "t-00002": [3.0, 5.0]}
    assert titles["t-00000"].labels[0]["task"] == "stacked_score_00"
    assert "shot_index" not in titles["t-00000"].labels[0]
    assert file.notes[0].startswith("split is not read: titles are split by a hash of their group")
    assert len(file.notes) == 1


def test_memory_holds_a_batch_and_a_title_and_not_the_file(tmp_path: Path) -> None:
    num_titles, num_rows, width = 48, 1024, 64
    path = tmp_path / "large.parquet"
    schema = pa.schema([("title_id", pa.string()), ("video", pa.list_(pa.float32()))])
    offsets = pa.array(np.arange(num_rows + 1, dtype=np.int32) * width)
    with pq.ParquetWriter(path, schema) as writer:
        for number in range(num_titles):
            numbers = np.random.default_rng(number).normal(size=num_rows * width).astype(np.float32)
            vectors = pa.ListArray.from_arrays(offsets, pa.array(numbers))
            writer.write_table(pa.table({"title_id": [f"t{number}"] * num_rows, "video": vectors}))
    before, held = pa.total_allocated_bytes(), []
    for title in open_import(path, {}).titles():
        assert isinstance(title, ImportedTitle)
        assert title.num_shots == num_rows
        held.append(pa.total_allocated_bytes() - before)
    assert len(held) == num_titles
    assert max(held) < path.stat().st_size / 4


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    suffix=st.sampled_from([".npz", ".parquet"]),
    absent=st.sets(st.integers(0, 19)),
)
def test_any_order_of_rows_gives_the_same_titles(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], seed: int, suffix: str, absent: set[int]
) -> None:
    names = np.repeat([f"t{number}" for number in range(len(lengths))], lengths)
    position = np.concatenate([np.arange(length) for length in lengths])
    vectors = vectors_of(len(names))
    gone = np.isin(np.arange(len(names)), list(absent))
    vectors[gone] = 0.0
    order = np.random.default_rng(seed).permutation(len(names))
    shuffled = {"title_id": names[order], "position": position[order], "video": vectors[order]}
    folder = tmp_path_factory.mktemp("any")
    titles = titles_of(open_import(write(folder, shuffled, suffix), {}))
    assert {name: title.num_shots for name, title in titles.items()} == {
        f"t{number}": length for number, length in enumerate(lengths)
    }
    for name, title in titles.items():
        np.testing.assert_array_equal(title.vectors[Modality.VIDEO], vectors[names == name])
        np.testing.assert_array_equal(title.is_present[Modality.VIDEO], ~gone[names == name])


def test_the_two_files_of_the_project(shared_media: Path) -> None:
    mosi = titles_of(open_import(shared_media / "features" / "mosi_train.npz", {}))
    assert (len(mosi), sum(title.num_shots for title in mosi.values())) == (62, 1447)
    pom = titles_of(open_import(shared_media / "features" / "pom.npz", {}))
    present = {
        modality: sum(int(title.is_present[modality].sum()) for title in pom.values()) / (903 * 20)
        for modality in (Modality.VIDEO, Modality.AUDIO)
    }
    assert present[Modality.VIDEO] == pytest.approx(0.214, abs=1e-3)
    assert present[Modality.AUDIO] == pytest.approx(0.687, abs=1e-3)
