"""A profile that fits a file of vectors: what it brings is imported, what it lacks is absent, its shots are given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mediafm.data.import_files import ImportFile
from mediafm.encoders.given import IMPORTED, NO_ENCODER
from mediafm.errors import ConfigError
from mediafm.shots.given import GIVEN
from mediafm.types import Json, Modality

TEXT_READER = "lite-text"
"""Reads the texts of a file that brings texts and no vectors of them: needs no weights and no network."""


def profile_text(file: ImportFile, feature_set: str) -> str:
    """The profile as TOML.

    Args:
        feature_set: what made the vectors, in the user's word; it becomes part of the space.
    """
    lines = [f"# Made for {file.path.name} by `mediafm import-embeddings`.", f"name = {json.dumps(file.stem)}", ""]
    lines += ["[detector]", f'name = "{GIVEN}"', f"settings = {_inline({'shot_set': feature_set})}"]
    for modality in Modality:
        lines += ["", f"[{modality}]", *_encoder(file, modality, feature_set)]
    return "\n".join(lines) + "\n"


def write_profile(path: Path, file: ImportFile, feature_set: str) -> bool:
    """Writes the profile; False if the same stands there already.

    Raises:
        ConfigError: another file stands there.
    """
    text = profile_text(file, feature_set)
    if path.exists():
        if path.read_text(encoding="utf-8") == text:
            return False
        raise ConfigError(
            f"{path} is there, and says something else",
            rule="a profile is not overwritten: what was made under it would no longer be found",
            remedy="Choose another name, or `--profile` to use it as it is.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def _encoder(file: ImportFile, modality: Modality, feature_set: str) -> list[str]:
    if modality in file.layout.widths:
        settings: dict[str, Json] = {"feature_set": feature_set, "width": file.layout.widths[modality]}
        return [f'name = "{IMPORTED}"', f"settings = {_inline(settings)}"]
    if modality is Modality.TEXT and file.layout.text is not None:
        return [f'name = "{TEXT_READER}"']
    return [f'name = "{NO_ENCODER}"']


def _inline(settings: Mapping[str, Json]) -> str:
    """A TOML inline table of texts and whole numbers; JSON's way of writing both is TOML's."""
    return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items()) + " }"
