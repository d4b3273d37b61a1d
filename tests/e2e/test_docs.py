"""The commands and examples of docs/ are held to what exists, and the Python ones are run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from mediafm.config import Config, EncoderChoice, TranscriberChoice
from mediafm.encoders.registry import REGISTRY, create_encoder
from mediafm.store.store import Store
from mediafm.store.views import connect
from mediafm.types import Modality
from mediafm_pipelines.cli import cli
from mediafm_pipelines.definitions import build_defs

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


def test_every_link_to_a_page_leads_somewhere() -> None:
    for page in [*PAGES, ROOT / "README.md"]:
        for target in re.findall(r"\]\(([\w/]+\.md)\)", page.read_text()):
            assert (page.parent / target).is_file(), f"{target} in {page.name}"


def test_every_job_sensor_and_schedule_exists() -> None:
    defs = build_defs(Config())
    known = {item.name for item in (*(defs.jobs or ()), *(defs.sensors or ()), *(defs.schedules or ()))}
    for page in PAGES:
        text = page.read_text()
        named = re.findall(r"`(\w+_(?:job|sensor)|(?:daily|weekly)_\w+)`", text) + re.findall(r" -j (\w+)", text)
        assert set(named) <= known, page.name


def settings_named(text: str) -> Iterator[tuple[str, ...]]:
    """The dotted names in backticks that begin with a section of the configuration."""
    sections = {name for name, field in Config.model_fields.items() if is_section(field.annotation)}
    for name in re.findall(r"`([a-z0-9_]+(?:\.[a-z0-9_]+)+)`", text):
        parts = tuple(name.split("."))
        if parts[0] in sections and parts[-1] not in ("md", "py", "toml"):
            yield parts


def is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def test_every_setting_exists() -> None:
    found = [(page, parts) for page in PAGES for parts in settings_named(page.read_text())]
    assert len(found) > 15
    for page, parts in found:
        model: object = Config
        for part in parts:
            assert is_section(model), f"{'.'.join(parts)} in {page.name}"
            assert part in model.model_fields, f"{'.'.join(parts)} in {page.name}"
            model = model.model_fields[part].annotation


def test_every_query_of_the_operations_pages_can_be_asked(tmp_path: Path) -> None:
    pages = [ROOT / "docs" / name for name in ("operations.md", "automation.md", "backup.md")]
    queries = [query for page in pages for query in re.findall(r'mediafm sql "([^"]+)"', page.read_text())]
    assert len(queries) >= 4
    with connect(Store(tmp_path)) as connection:
        for query in queries:
            assert connection.execute(query).fetchall() is not None, query


def test_every_command_of_dagster_and_mlflow_exists() -> None:
    from dagster._cli import create_dagster_cli
    from mlflow.cli import cli as mlflow_cli

    programs = {"dagster": create_dagster_cli(), "mlflow": mlflow_cli}
    text = "\n".join(page.read_text() for page in PAGES)
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    quoted = re.findall(r"`((?:dagster|mlflow) [^`]+)`", text)
    found = [line for line in [*lines, *quoted] if line.split(" ")[0] in programs]
    assert len(found) >= 5
    for line in found:
        words = shlex.split(line, comments=True)
        command: click.Command | None = programs[words[0]]
        options = [word for word in words if word.startswith("-")]
        for word in words[1:]:
            if isinstance(command, click.Group) and not word.startswith("-"):
                command = command.get_command(click.Context(command), word)
                assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts} if command else set()
        assert set(options) <= known, line


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
