"""`mediafm.embed` on a small root: every context against what it is made of, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import mediafm
from mediafm.cli.main import library
from mediafm.config import Config, load_config
from mediafm.data.import_files import open_import
from mediafm.data.sequences import TitleSequence
from mediafm.embedder import ContextualVectors, Embedder, clip_sequence
from mediafm.errors import ConfigError, IntegrityError, LineageMismatchError, NotFoundError
from mediafm.lineage.records import LedgerRecord
from mediafm.model import presets
from mediafm.model.mediafm import build
from mediafm.steps import chosen_model, title_vectors
from mediafm.steps.context_cache import FOLDER
from mediafm.steps.fused import FusedStep
from mediafm.steps.import_profile import write_profile
from mediafm.steps.imports import import_file
from mediafm.steps.pipeline import embed as embed_titles
from mediafm.steps.runner import run_step
from mediafm.steps.sequences import read_sequence
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, folder_key, put_folder
from mediafm.store.pointers import CHAMPION
from mediafm.store.vectors import arrow_to_vectors
from mediafm.train.checkpoint import Checkpoint, make_checkpoint, to_files
from mediafm.types import Json, TitleState

WIDTH = 4
SHOTS = {"served": 12, "fresh": 9, "untimed": 5}
ABSENT = 3
"""Of the title `served`: a shot that nothing gave a vector."""


@dataclass(frozen=True)
class Root:
    """A root with a served checkpoint, another one, and three titles of which only `served` is embedded."""

    config: Config
    served: Checkpoint
    other: Checkpoint


def write_titles(file: Path) -> None:
    """Times of a shot are 2 s, 3 s, 2 s, ... from 1.5 s on."""
    rng = np.random.default_rng(0)
    names = np.repeat(list(SHOTS), list(SHOTS.values()))
    ends = np.concatenate([1.5 + np.cumsum(np.resize([2.0, 3.0], count)) for count in SHOTS.values()])
    starts = np.concatenate(
        [np.concatenate([[1.5], 1.5 + np.cumsum(np.resize([2.0, 3.0], n))[:-1]]) for n in SHOTS.values()]
    )
    untimed = names == "untimed"
    blocks = {name: rng.normal(size=(len(names), WIDTH)).astype(np.float32) for name in ("video", "audio", "text")}
    for block in blocks.values():
        block[ABSENT] = 0.0
    starts[untimed] = ends[untimed] = np.nan
    np.savez(file, title_id=names, start_seconds=starts, end_seconds=ends, **blocks)


def make_root(base: Path) -> Root:
    write_titles(base / "vectors.npz")
    opened = open_import(base / "vectors.npz", {})
    write_profile(base / "vectors.toml", opened, "made elsewhere")
    (base / "mediafm.toml").write_text('root = "root"\nprofile = "./vectors.toml"\ndevice = "cpu"\n')
    config = load_config(base / "mediafm.toml")
    with Workspace.open(config) as workspace:
        import_file(workspace, opened)
        workspace.ledger.flush()
        run_step(workspace, FusedStep(workspace), workspace.titles(list(SHOTS)))
        served, other = (keep_checkpoint(workspace, seed) for seed in (1, 2))
        workspace.ledger.flush()
        workspace.pointers.ensure(CHAMPION, {"checkpoint_sha256": served.sha256, "is_provisional": True}, "test")
        embed_titles(workspace, ["served"])
    return Root(config, served, other)


def keep_checkpoint(workspace: Workspace, seed: int) -> Checkpoint:
    """Random weights in the root's space, in the store and in the ledger."""
    space = workspace.space
    model = replace(presets.tiny(space.width, space.metadata_width), max_shots=8, has_zero_init=False)
    checkpoint = make_checkpoint(build(model, seed), (1, 2), space.as_json(), f"{seed:064x}", {}, {})
    put_folder(workspace.store, folder_key(CHECKPOINTS, checkpoint.sha256), to_files(checkpoint))
    producers: dict[str, Json] = {table: dict(value) for table, value in workspace.producers.items()}
    workspace.ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=checkpoint.sha256,
            checkpoint_sha256=checkpoint.sha256,
            details={"producers": producers},
        )
    )
    return checkpoint


class Counting(Embedder):
    """Counts the passes over titles, and the clips that went through alone."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.titles: list[str] = []
        self.clips: list[int] = []

    def embed(self, sequence: TitleSequence) -> ContextualVectors:
        self.titles.append(sequence.title_id)
        return super().embed(sequence)

    def embed_many(self, sequences: Any, max_shots_per_pass: int = 1024) -> list[ContextualVectors]:
        given = list(sequences)
        self.clips.append(len(given))
        return super().embed_many(given, max_shots_per_pass)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return make_root(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def own(root: Root, tmp_path: Path) -> Root:
    """A copy of the root that a test may change."""
    base = Path(shutil.copytree(root.config.root_path.parent, tmp_path / "own"))
    return Root(load_config(base / "mediafm.toml"), root.served, root.other)


@pytest.fixture(autouse=True)
def nothing_kept(root: Root) -> None:
    """Each test begins as a new process on a root without a cache."""
    title_vectors.KEPT.forget()
    for file in (root.config.root_path / "cache" / FOLDER).glob("*"):
        file.unlink()


def inputs_of(root: Root, title_id: str) -> TitleSequence:
    with Workspace.open(root.config) as workspace:
        (title,) = workspace.titles([title_id])
        store, chain = workspace.store, title.chain
        fused, metadata = (store.key(chain.identity(f"{name}_embeddings")) for name in ("fused", "metadata"))
        return read_sequence(store, title_id, fused, metadata)[0]


def stored_vectors(root: Root, table: str) -> np.ndarray:
    with Workspace.open(root.config) as workspace:
        producers = chosen_model.choose_model(root.config, workspace.store, root.served.sha256).producers
        (title,) = workspace.titles(["served"], producers)
        return arrow_to_vectors(workspace.store.read(title.chain.identity(table)).column("vector"))[0]


def by_hand(vectors: np.ndarray, seconds: list[float]) -> np.ndarray:
    mean = np.average(vectors.astype(np.float64), axis=0, weights=seconds)
    return mean / np.linalg.norm(mean)


def test_a_clip_in_its_title_is_the_stored_vectors_weighted_by_seconds(root: Root):
    stored = stored_vectors(root, "contextual_embeddings")
    embedder = Counting(root.served)
    # Shots 1, 2 and 4 of 3, 2 and 2 s: the first is cut by .5 s, the last by 1.5 s; shot 3 has no vector.
    found = mediafm.embed("served", 4.0, 12.0, config=root.config, checkpoint=embedder)
    assert found.shot_index.tolist() == [1, 2, 4]
    assert found.absent_shot_index.tolist() == [ABSENT]
    assert found.overlap_seconds.tolist() == [2.5, 2.0, 0.5]
    # Row 3 of what is stored is shot 4.
    np.testing.assert_array_equal(found.shots, stored[[1, 2, 3]])
    np.testing.assert_allclose(found.vector, by_hand(stored[[1, 2, 3]], [2.5, 2.0, 0.5]), atol=1e-6)
    assert found.shots.dtype == found.vector.dtype == np.float32
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-6)
    assert embedder.titles == []
    assert (found.context, found.checkpoint_sha256, found.with_metadata) == ("title", root.served.sha256, True)
    assert set(found.fingerprints) == {"titles", "spans", "contextual_embeddings"}


def test_the_served_checkpoint_is_the_default_whatever_it_is_called(root: Root):
    sha256 = root.served.sha256
    plain = mediafm.embed("served", 4.0, 12.0, config=root.config)
    folder = root.config.root_path / folder_key(CHECKPOINTS, sha256)
    for name in (sha256, sha256[:8], folder, str(folder)):
        found = mediafm.embed("served", 4.0, 12.0, config=root.config, checkpoint=name)
        assert found.checkpoint_sha256 == sha256
        np.testing.assert_array_equal(found.vector, plain.vector)
    other = mediafm.embed("served", 4.0, 12.0, config=root.config, checkpoint=root.other.sha256[:10])
    assert other.checkpoint_sha256 == root.other.sha256
    assert np.abs(other.vector - plain.vector).max() > 1e-3


def test_a_whole_title_by_plain_mean_is_the_stored_title_vector(root: Root):
    found = mediafm.embed("served", pool="plain", config=root.config)
    np.testing.assert_allclose(found.vector, stored_vectors(root, "title_embeddings")[0], atol=1e-3)
    weighted = mediafm.embed("served", config=root.config)
    assert (weighted.start_seconds, weighted.end_seconds, len(weighted.shots)) == (1.5, 31.5, 11)
    np.testing.assert_allclose(
        weighted.vector, by_hand(weighted.shots, np.resize([2.0, 3.0], 12)[weighted.shot_index].tolist()), atol=1e-6
    )
    assert np.abs(weighted.vector - found.vector).max() > 1e-3


def test_the_second_clip_of_a_title_costs_no_pass(root: Root):
    embedder = Counting(root.served)
    first = mediafm.embed("fresh", 4.0, 9.0, config=root.config, checkpoint=embedder)
    expected = Embedder(root.served).embed(inputs_of(root, "fresh")).shots
    np.testing.assert_allclose(first.shots, expected[first.shot_index], atol=1e-3)
    mediafm.embed("fresh", 5.0, 20.0, config=root.config, checkpoint=embedder)
    mediafm.embed_clips("fresh", [(2.0, 3.0), (None, None)], config=root.config, checkpoint=embedder)
    assert embedder.titles == ["fresh"]
    # Another process finds the root's cache; it holds what the memory held.
    title_vectors.KEPT.forget()
    again = mediafm.embed("fresh", 4.0, 9.0, config=root.config, checkpoint=embedder)
    np.testing.assert_array_equal(again.shots, first.shots)
    assert embedder.titles == ["fresh"]
    # The cache may be deleted or damaged at any time.
    (file,) = (root.config.root_path / "cache" / FOLDER).iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    title_vectors.KEPT.forget()
    np.testing.assert_array_equal(
        mediafm.embed("fresh", 4.0, 9.0, config=root.config, checkpoint=embedder).shots, first.shots
    )
    assert embedder.titles == ["fresh"] * 2
    # Another checkpoint is another thing.
    other = Counting(root.other)
    mediafm.embed("fresh", 4.0, 9.0, config=root.config, checkpoint=other)
    assert other.titles == ["fresh"]


def test_without_metadata_nothing_stored_is_used(root: Root):
    embedder = Counting(root.served)
    found = mediafm.embed("served", config=root.config, checkpoint=embedder, with_metadata=False)
    mediafm.embed("served", 2.0, 3.0, config=root.config, checkpoint=embedder, with_metadata=False)
    assert embedder.titles == ["served"]
    assert not found.with_metadata
    assert set(found.fingerprints) == {"titles", "spans", "fused_embeddings"}
    alone = Embedder(root.served).embed(replace(inputs_of(root, "served"), metadata=None))
    np.testing.assert_allclose(found.shots, alone.shots, atol=1e-3)


def test_a_clip_alone_sees_nothing_around_it(root: Root):
    embedder = Counting(root.served)
    spans = [(4.0, 12.0), (1.5, 3.0), (None, None)]
    found = mediafm.embed_clips("served", spans, context="clip", config=root.config, checkpoint=embedder)
    assert (embedder.titles, embedder.clips) == ([], [3])
    sequence = inputs_of(root, "served")
    rows = [[1, 2, 3], [0], list(range(11))]
    for one, chosen in zip(found, rows, strict=True):
        expected = Embedder(root.served).embed(clip_sequence(sequence, chosen)).shots
        np.testing.assert_allclose(one.shots, expected, atol=2e-5)
    inside = mediafm.embed("served", 4.0, 12.0, config=root.config)
    assert inside.shot_index.tolist() == found[0].shot_index.tolist()
    assert np.abs(inside.vector - found[0].vector).max() > 1e-3
    # The whole title alone is the title, but for the rounding of what is stored.
    np.testing.assert_allclose(found[2].shots, mediafm.embed("served", config=root.config).shots, atol=1e-3)


def test_without_context_they_are_the_fused_vectors(root: Root):
    found = mediafm.embed("served", 4.0, 12.0, context="none", pool="max", config=root.config)
    fused = inputs_of(root, "served").fused[[1, 2, 3]].astype(np.float32)
    np.testing.assert_array_equal(found.shots, fused)
    greatest = fused.max(axis=0)
    np.testing.assert_allclose(found.vector, greatest / np.linalg.norm(greatest), atol=1e-6)
    assert (found.checkpoint_sha256, found.with_metadata) == (None, False)
    assert found.space_id == root.served.space_id


def test_shots_that_are_cut_short_may_be_left_out(root: Root):
    found = mediafm.embed("served", 4.0, 12.0, min_overlap_share=0.5, config=root.config)
    assert found.shot_index.tolist() == [1, 2]
    assert found.overlap_seconds.tolist() == [2.5, 2.0]


def test_a_title_without_times_is_embedded_whole(root: Root):
    found = mediafm.embed("untimed", config=root.config)
    assert (len(found.shots), found.start_seconds, found.end_seconds) == (5, None, None)
    np.testing.assert_allclose(found.vector, by_hand(found.shots, [1.0] * 5), atol=1e-6)
    with pytest.raises(NotFoundError, match=r"title untimed: a clip from 1.0 to 2.0 s of a title .* no times"):
        mediafm.embed("untimed", 1.0, 2.0, config=root.config)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (("servd",), NotFoundError, r"no title 'servd'; the root has 3 titles; near it are served"),
        (("served", 40.0, 50.0), NotFoundError, r"40.0 to 50.0 s lies outside the title"),
        (("served", 5.0, 4.0), ConfigError, "ends after it starts"),
        (("served", float("nan"), 4.0), ConfigError, "finite seconds"),
        (("served", 9.0, 10.0), NotFoundError, "none of the clip's shots 3 to 3 has a vector"),
    ],
)
def test_clips_that_are_none(root: Root, arguments: tuple[Any, ...], error: type[Exception], sentence: str):
    for context in ("title", "clip", "none"):
        with pytest.raises(error, match=sentence):
            mediafm.embed(*arguments, context=context, config=root.config)


def test_words_that_mean_nothing(root: Root):
    with pytest.raises(ConfigError, match="'scene'; a clip is embedded by one of title, clip, none"):
        mediafm.embed("served", context="scene", config=root.config)
    with pytest.raises(ConfigError, match="'median'; a clip is embedded by one of mean, plain, max"):
        mediafm.embed("served", pool="median", config=root.config)
    with pytest.raises(NotFoundError, match="0 checkpoints ffffffff"):
        mediafm.embed("served", checkpoint="f" * 64, config=root.config)
    with pytest.raises(NotFoundError, match="there is no root"):
        mediafm.embed("served", config=root.config.model_copy(update={"root": str(root.config.root_path / "none")}))


def test_what_is_not_made_yet_is_said_with_its_reason(own: Root):
    with Workspace.open(own.config) as workspace:
        (title,) = workspace.titles(["fresh"])
        identity = title.chain.identity("fused_embeddings")
        workspace.store.discard(workspace.store.key(identity))
        with pytest.raises(NotFoundError, match=r"fused_embeddings of the title's present files is still to be made"):
            mediafm.embed("fresh", config=own.config)
        record = LedgerRecord.of(identity, state=TitleState.QUARANTINED, reason="no picture", generation=2)
        workspace.ledger.add(record)
        workspace.ledger.flush()
        with pytest.raises(NotFoundError, match=r"fused_embeddings is quarantined: no picture.*retry --title fresh"):
            mediafm.embed("fresh", context="clip", config=own.config)
        (served,) = workspace.titles(["served"])
        workspace.ledger.add(
            LedgerRecord(
                asset="raw_titles",
                table="titles",
                title_id="served",
                state=TitleState.VANISHED,
                reason="the file is gone",
                generation=served.generation + 1,
            )
        )
        workspace.ledger.flush()
    with pytest.raises(NotFoundError, match=r"the title is vanished: the file is gone.*once its file is there"):
        mediafm.embed("served", config=own.config)


def test_a_root_that_serves_nothing_has_fused_vectors_only(root: Root, own: Root):
    for file in (own.config.root_path / "pointers" / "serving").iterdir():
        file.unlink()
    with pytest.raises(NotFoundError, match="no checkpoint is served"):
        mediafm.embed("served", config=own.config)
    found = mediafm.embed("served", context="none", config=own.config)
    np.testing.assert_array_equal(found.vector, mediafm.embed("served", context="none", config=root.config).vector)


def test_a_checkpoint_of_elsewhere_must_read_this_space(root: Root, tmp_path: Path):
    stranger = make_checkpoint(
        build(root.served.model, 7), root.served.export_layers, root.served.space, "7" * 64, {}, {}
    )
    (tmp_path / "copy").mkdir()
    for name, content in to_files(stranger).items():
        (tmp_path / "copy" / name).write_bytes(content)
    found = mediafm.embed("served", 4.0, 12.0, checkpoint=tmp_path / "copy", config=root.config)
    assert found.checkpoint_sha256 == stranger.sha256
    weights = {**dict(root.served.space["weights"]), "video": 2.0}  # type: ignore[call-overload]
    odd = make_checkpoint(
        build(root.served.model, 7), (1,), {**root.served.space, "weights": weights}, "7" * 64, {}, {}
    )
    with pytest.raises(LineageMismatchError, match="must read the space that is configured here"):
        mediafm.embed("served", checkpoint=Embedder(odd), config=root.config)


def test_a_damaged_stored_value_is_not_taken_for_a_missing_one(own: Root):
    with Workspace.open(own.config) as workspace:
        producers = chosen_model.choose_model(own.config, workspace.store, None).producers
        (title,) = workspace.titles(["served"], producers)
        file = own.config.root_path / workspace.store.key(title.chain.identity("contextual_embeddings"))
    file.chmod(0o600)
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 3] ^= 1
    file.write_bytes(whole)
    with pytest.raises(IntegrityError, match="the ledger says"):
        mediafm.embed("served", config=own.config)


def call(*arguments: object) -> Any:
    return CliRunner().invoke(library, ["embed", *map(str, arguments)])


def test_the_verb_says_prints_and_writes_the_same(root: Root, tmp_path: Path):
    toml = root.config.root_path.parent / "mediafm.toml"
    expected = mediafm.embed("served", 4.0, 12.0, config=root.config)
    asked = ("--title", "served", "--start", 4, "--end", 12, "--config", toml)
    told = json.loads(call(*asked, "--json", "--out", tmp_path / "clip.npy").stdout)
    np.testing.assert_allclose(told["vector"], expected.vector, atol=1e-6)
    assert told["out"] == str(tmp_path / "clip.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "clip.npy", allow_pickle=False), expected.vector)
    said = call(*asked, "--out", tmp_path / "clip.parquet")
    assert said.exit_code == 0, said.output
    assert "256 numbers of 3 shots, context title" in said.output
    assert "1 more shots of the clip have no vector" in said.output
    (row,) = pq.read_table(tmp_path / "clip.parquet").to_pylist()
    np.testing.assert_array_equal(np.array(row["shots"], np.float32), expected.shots)
    assert (row["shot_index"], row["checkpoint_sha256"]) == ([1, 2, 4], root.served.sha256)
    again = call(*asked, "--out", tmp_path / "clip.npy")
    assert (again.exit_code, "overwritten unasked" in again.output) == (2, True)
    wrong = call(*asked, "--out", tmp_path / "clip.csv")
    assert (wrong.exit_code, "it ends in .npy or .parquet" in wrong.output) == (2, True)
    unknown = call("--title", "nobody", "--config", toml)
    assert (unknown.exit_code, "no title 'nobody'" in unknown.output) == (2, True)


def test_no_model_no_torch(root: Root):
    code = (
        "import sys, mediafm; assert 'torch' not in sys.modules; "
        f"found = mediafm.embed('served', 4.0, 12.0, config={str(root.config.root_path.parent / 'mediafm.toml')!r}); "
        "assert 'torch' not in sys.modules, 'stored vectors need no model'; print(len(found.vector))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("256\n", "")
