"""Where the root, the state and the cache of a configuration are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mediafm.config import Config, load_config
from mediafm.errors import ConfigError


def test_a_local_root_holds_its_state_and_cache(tmp_path: Path) -> None:
    config = Config(root=str(tmp_path / "root"))
    assert config.has_local_root
    assert config.root_name == str(tmp_path / "root")
    assert (config.state_path, config.cache_path) == (tmp_path / "root" / "state", tmp_path / "root" / "cache")
    assert Config(root=str(tmp_path), cache=str(tmp_path / "fast")).cache_path == tmp_path / "fast"


def test_the_state_and_cache_of_a_root_in_a_bucket_are_local(tmp_path: Path) -> None:
    config = load_config(overrides={"root": "s3://films/root/", "state": str(tmp_path / "state")})
    assert not config.has_local_root
    assert config.root_name == "s3://films/root"
    assert (config.state_path, config.cache_path) == (tmp_path / "state", tmp_path / "state" / "cache")
    with pytest.raises(ConfigError, match="is no folder of this machine"):
        _ = config.root_path


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"root": "s3://films/root"}, r'no state for the root s3://films/root.*Set `state = "FOLDER"`.*--state FOLDER'),
        ({"root": "gs://films/root", "state": "x"}, "a place in a bucket is s3://bucket/key"),
        ({"root": "s3://films/a b", "state": "x"}, "Name another prefix"),
        ({"root": "s3://films/root", "state": "s3://films/state"}, "state is a folder of this machine"),
        ({"root": "s3://films/root", "state": "x", "cache": "s3://films/c"}, "cache is a folder of this machine"),
    ],
)
def test_what_could_not_be_used_later_is_refused_at_once(overrides: dict[str, str], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        load_config(overrides=overrides)


def test_the_settings_of_buckets_round_trip_and_are_relative_to_their_file(tmp_path: Path) -> None:
    file = tmp_path / "mediafm.toml"
    file.write_text('root = "s3://films/root"\nstate = "state"\n[s3]\nendpoint_url = "http://minio:9000"\n')
    config = load_config(file)
    assert config.state_path == tmp_path / "state"
    assert config.s3.endpoint_url == "http://minio:9000"
    assert Config.model_validate_json(config.model_dump_json()) == config
    file.write_text('[s3]\nsecret_key = "x"\n')
    with pytest.raises(ConfigError, match="secret_key"):
        load_config(file)


def test_the_example_of_the_docs_is_a_configuration(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "s3.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    file = tmp_path / "mediafm.toml"
    file.write_text(example)
    config = load_config(file)
    assert config.root_name == "s3://films/mediafm"
    assert str(config.cache_path) == "/fast/mediafm"
    assert config.s3.cache_bytes == 500_000_000_000
