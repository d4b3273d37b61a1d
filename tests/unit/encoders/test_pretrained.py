"""Published weights: named by content, from a folder or from a hub's cache, and never run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
import transformers
from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

from mediafm.encoders.pretrained import describe, load_network
from mediafm.errors import ConfigError, EncoderError, TransientError
from mediafm.testing.small_weights import save_wav2vec2

WHERE = "encoder test"
REPOSITORY = "somebody/wav2vec2-small"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wav2vec2(tmp_path_factory.mktemp("weights") / "wav2vec2")


@pytest.fixture
def hub(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """A hub that cannot be reached, and its cache as a download leaves it; gives the snapshot's folder."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def downloaded() -> Path:
        folder = tmp_path / f"models--{REPOSITORY.replace('/', '--')}"
        snapshot = folder / "snapshots" / COMMIT
        shutil.copytree(saved, snapshot)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(COMMIT)
        return snapshot

    return downloaded


def test_a_folder_is_known_by_its_content_wherever_it_lies(saved: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(saved, tmp_path / "elsewhere")
    here, there = describe(str(saved), None, WHERE), describe(str(moved), None, WHERE)
    assert here.revision == there.revision
    assert here.revision.startswith("sha256:")
    assert here.as_json() == there.as_json() == {"weights": "local"}


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_every_file_that_loading_reads_is_part_of_the_revision(saved: Path, tmp_path: Path, name: str) -> None:
    changed = shutil.copytree(saved, tmp_path / "changed")
    data = bytearray((changed / name).read_bytes())
    data[-2] ^= 1
    (changed / name).write_bytes(data)
    assert describe(str(changed), None, WHERE).revision != describe(str(saved), None, WHERE).revision


def test_what_loading_does_not_read_is_not(saved: Path, tmp_path: Path) -> None:
    beside = shutil.copytree(saved, tmp_path / "beside")
    (beside / "README.md").write_text("about")
    (beside / "pytorch_model.bin").write_bytes(b"an older copy")
    assert describe(str(beside), None, WHERE).revision == describe(str(saved), None, WHERE).revision


def test_a_folder_has_no_other_revision(saved: Path) -> None:
    with pytest.raises(ConfigError, match=r"revision 'main' of the folder .*Leave `revision` out"):
        describe(str(saved), "main", WHERE)


def test_a_path_without_a_folder_is_no_hub_id() -> None:
    with pytest.raises(ConfigError, match=r"encoder test: no folder \./nowhere"):
        describe("./nowhere", None, WHERE)


def test_a_folder_without_weights_is_refused(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no model\.safetensors in"):
        describe(str(tmp_path), None, WHERE)


def test_a_model_that_brings_its_own_code_is_refused(saved: Path, tmp_path: Path) -> None:
    strange = shutil.copytree(saved, tmp_path / "strange")
    config = json.loads((strange / "config.json").read_text())
    (strange / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(ConfigError, match=r"brings its own code .*evil\.Model.*may run code"):
        _ = describe(str(strange), None, WHERE).config


def test_a_broken_small_file_is_named(saved: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(saved, tmp_path / "broken")
    (broken / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        _ = describe(str(broken), None, WHERE).config


def test_a_branch_is_resolved_to_its_commit_without_a_network(hub: Callable[[], Path]) -> None:
    snapshot = hub()
    for revision in (None, "main", COMMIT):
        found = describe(REPOSITORY, revision, WHERE)
        assert (found.source, found.revision) == (REPOSITORY, COMMIT)
        assert found.folder() == snapshot
        assert found.as_json() == {"weights": REPOSITORY}
    assert found.json_file("absent.json") is None
    network = load_network(transformers.Wav2Vec2Model, found, "cpu", "float32")
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_download_that_was_cut_short_is_not_taken_for_a_whole_one(hub: Callable[[], Path]) -> None:
    """The hub's own list of a commit's files decides: without its extractor the same weights would be another space."""
    snapshot = hub()
    entries = {
        file.name: TreeCacheEntry(size=file.stat().st_size, blob_id="0", lfs_sha256=None, lfs_size=None, xet_hash=None)
        for file in snapshot.iterdir()
    }
    write_tree_cache(str(snapshot.parents[1]), COMMIT, entries)
    assert describe(REPOSITORY, COMMIT, WHERE).json_file("preprocessor_config.json") is not None
    (snapshot / "preprocessor_config.json").unlink()
    with pytest.raises(TransientError, match="is not in the hub's cache"):
        describe(REPOSITORY, COMMIT, WHERE)


def test_a_hub_that_cannot_be_reached_may_be_reached_later(hub: Callable[[], Path]) -> None:
    with pytest.raises(TransientError, match=r"somebody/wav2vec2-small is not in the hub's cache.*Go online"):
        describe(REPOSITORY, COMMIT, WHERE)


def test_a_name_that_no_hub_can_have_is_the_profiles_mistake(hub: Callable[[], Path]) -> None:
    with pytest.raises(ConfigError, match="HFValidationError"):
        describe("what is this?", None, WHERE)


def test_old_weights_are_read_where_there_are_no_others(hub: Callable[[], Path], tmp_path: Path) -> None:
    snapshot = hub()
    network = transformers.Wav2Vec2Model.from_pretrained(snapshot, local_files_only=True)
    torch.save(network.state_dict(), snapshot / "pytorch_model.bin")
    (snapshot / "model.safetensors").unlink()
    old = load_network(transformers.Wav2Vec2Model, describe(REPOSITORY, None, WHERE), "cpu", "float32")
    for name, value in network.state_dict().items():
        assert torch.equal(old.state_dict()[name], value), name


class Evil:
    """What a pickle might run."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("run by a pickle",))


def test_old_weights_that_hold_more_than_tensors_are_not_unpickled(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = shutil.copytree(saved, tmp_path / "evil")
    (evil / "model.safetensors").unlink()
    torch.save({"weight": Evil()}, evil / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        load_network(transformers.Wav2Vec2Model, describe(str(evil), None, WHERE), "cpu", "float32")
    assert "run by a pickle" not in capsys.readouterr().out


def test_weights_that_do_not_fill_the_network_are_refused(saved: Path) -> None:
    with pytest.raises(EncoderError, match=r"weights absent \(lm_head"):
        load_network(transformers.Wav2Vec2ForCTC, describe(str(saved), None, WHERE), "cpu", "float32")
