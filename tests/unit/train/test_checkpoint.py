import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load

from mediafm.errors import IntegrityError
from mediafm.model.mediafm import build
from mediafm.train.checkpoint import CONFIG_FILE, WEIGHTS_FILE, from_files, from_folder, make_checkpoint, to_files


@pytest.fixture
def made(config, manifest):
    def make(export_layers=(1,), seed=0):
        return make_checkpoint(
            build(config.model, seed), export_layers, manifest.space, manifest.sha256, config.as_json(), {"a": 1.5}
        )

    return make


def test_files_bring_the_checkpoint_back(made, config):
    checkpoint = made()
    back = from_files(to_files(checkpoint))
    assert back.sha256 == checkpoint.sha256
    assert back.export_layers == (1,)
    assert back.model == config.model
    assert back.report == {"a": 1.5}
    assert back.metadata_fields == ("title",)
    one, other = checkpoint.load_model(), back.load_model()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not one.training


def test_a_folder_is_read_whatever_else_lies_there(made, tmp_path):
    for name, data in {**to_files(made()), "card.md": b"# Card"}.items():
        (tmp_path / name).write_bytes(data)
    assert to_files(from_folder(tmp_path)) == to_files(made())
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(IntegrityError, match=f"KeyError '{WEIGHTS_FILE}'"):
        from_folder(tmp_path)


def test_equal_work_gives_equal_bytes(made):
    assert to_files(made()) == to_files(made())


def test_all_that_moves_an_embedding_moves_the_sha256(made):
    plain = made()
    assert made(seed=1).sha256 != plain.sha256
    assert made(export_layers=(1, 2)).sha256 != plain.sha256


def test_weights_are_plain_safetensors(made, config):
    tensors = load(made().weights)
    assert tensors["head.weight"].shape == (config.model.fused_dim, config.model.hidden_dim)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_weights_of_another_checkpoint_are_noticed(made):
    files, other = to_files(made()), to_files(made(seed=1))
    with pytest.raises(IntegrityError, match="the config's sha256 say otherwise"):
        from_files({**files, WEIGHTS_FILE: other[WEIGHTS_FILE]})


def test_a_config_that_contradicts_the_weights_header_is_noticed(made):
    files = to_files(made())
    config = json.loads(files[CONFIG_FILE])
    changed = json.dumps({**config, "export_layers": [2]}).encode()
    with pytest.raises(IntegrityError, match="the weights' header say otherwise"):
        from_files({**files, CONFIG_FILE: changed})


@pytest.mark.parametrize("weights", [b"", b"\xff" * 40, b"\x80\x02}q\x00."])
def test_bytes_that_are_no_checkpoint_are_refused(made, weights):
    with pytest.raises(IntegrityError, match="both readable"):
        from_files({**to_files(made()), WEIGHTS_FILE: weights})
    with pytest.raises(IntegrityError, match="both readable"):
        from_files({WEIGHTS_FILE: to_files(made())[WEIGHTS_FILE]})


def test_weights_that_do_not_fit_are_refused(made, config):
    with pytest.raises(IntegrityError, match="the weights fit the architecture"):
        replace(made(), model=replace(config.model, num_layers=1)).load_model()
