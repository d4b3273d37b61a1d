"""The commands and examples of docs/ are held to what exists, and the Python ones are run."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from mediafm.config import Config, EncoderChoice, TranscriberChoice
from mediafm.encoders.registry import REGISTRY, create_encoder
from mediafm.types import Modality
from mediafm_pipelines.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_verb_and_option_exists(page: Path) -> None:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("mediafm ")]
    quoted = [f"mediafm {rest}" for rest in re.findall(r"`mediafm ([^`]+)`", page.read_text())]
    assert lines or quoted
    for command in [*lines, *quoted]:
        verb = command.split()[1]
        help_text = CliRunner().invoke(cli, [verb, "--help"])
        assert help_text.exit_code == 0, command
        for option in re.findall(r"--[a-z-]+", command):
            assert option in help_text.output, f"{option} of {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_run(page: Path) -> None:
    for example in blocks(page, "python"):
        found = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False, cwd=ROOT)
        assert found.returncode == 0, found.stderr


def test_configuration_examples_are_valid() -> None:
    """The blocks of encoders.md are profiles, which have a test of their own."""
    examples = [block for page in PAGES if page.name != "encoders.md" for block in blocks(page, "toml")]
    assert len(examples) >= 3
    for example in examples:
        assert Config.model_validate(tomllib.loads(example)) != Config()


def test_every_encoder_is_named() -> None:
    text = (ROOT / "docs" / "encoders.md").read_text()
    for name in REGISTRY:
        assert name in text or f"{name.split('-')[0]}-*" in text, name


def test_the_paid_encoders_example_is_a_profile_of_ours() -> None:
    examples = [tomllib.loads(block) for block in blocks(ROOT / "docs" / "encoders.md", "toml")]
    (text,) = [each["text"] for each in examples if "text" in each]
    assert create_encoder(Modality.TEXT, EncoderChoice.model_validate(text)).spec.width == 768
    (transcriber,) = [each["transcriber"] for each in examples if "transcriber" in each]
    assert TranscriberChoice.model_validate(transcriber).name == "wav2vec2-ctc"
    assert Config().profile == "lite"
