"""What is wrong with a configuration is said field by field."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediafm.config import load_profile
from mediafm.errors import ConfigError

PROFILE = """
name = "mine"
[detector]
name = "lite"
[audio]
name = "lite-audio"
settings = { weights = "./w" }
[text]
name = "lite-text"
"""


def test_a_missing_field_is_named_without_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PROFILE)
    with pytest.raises(ConfigError, match=r"mine\.toml: video is missing; every field must be known"):
        load_profile(str(tmp_path / "mine.toml"))


def test_a_wrong_value_is_shown(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PROFILE + "[video]\nname = 7\n")
    with pytest.raises(ConfigError, match=r"video\.name = 7: Input should be a valid string"):
        load_profile(str(tmp_path / "mine.toml"))


def test_weights_beside_the_profile_are_found_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PROFILE + '[video]\nname = "lite-video"\nsettings = { weights = "clip" }\n')
    profile = load_profile(str(tmp_path / "mine.toml"))
    assert profile.audio.settings["weights"] == str(tmp_path / "w")
    assert profile.video.settings["weights"] == "clip"
