"""The README's commands and examples are run, not believed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import mediafm
from mediafm.catalog.title import METADATA_FIELDS
from mediafm.config import Config
from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import TINY
from mediafm_pipelines.cli import cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PUBLIC_API = {f"mediafm.{name}" for name in mediafm.__all__}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a folder `films`, and a configuration that keeps training short."""
    directory = tmp_path_factory.mktemp("readme")
    write_sample(directory / "films", 8, 3, settings=TINY, num_workers=1)
    (directory / "mediafm.toml").write_text("[training]\nmax_steps = 5\n[probes]\nnum_bootstrap = 20\n")
    return directory


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_make_target_exists() -> None:
    make = shutil.which("make")
    assert make is not None
    targets = set(
        re.findall(r"`?\bmake ([a-z-]+)\b", "\n".join([*blocks("sh"), *re.findall(r"`make [a-z-]+`", README)]))
    )
    assert {"demo", "test", "check", "bench"} <= targets
    for target in targets:
        found = subprocess.run([make, "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr


def test_every_verb_and_option_exists() -> None:
    for command in re.findall(r"`mediafm ([^`]+)`", README):
        words = re.findall(r"[A-Za-z-]+", command)
        help_text = CliRunner().invoke(cli, [words[0], "--help"])
        assert help_text.exit_code == 0, command
        for option in re.findall(r"--[a-z-]+", command):
            assert option in help_text.output, f"{option} of {command}"


def test_the_shell_commands_run(folder: Path) -> None:
    (commands,) = [block for block in blocks("sh") if "mediafm run" in block]
    for line in commands.splitlines():
        if line.startswith("mediafm "):
            words = line.replace("path/to/films", "films").split()[1:]
            found = run([sys.executable, "-m", "mediafm_pipelines", *words], folder)
            assert found.returncode == 0, found.stderr
    assert "8 ok in" in found.stdout
    assert (folder / ".mediafm" / "store").is_dir()


def test_the_python_example_runs(folder: Path) -> None:
    (example,) = blocks("python")
    found = run([sys.executable, "-c", f"{example}\n    print(len(frame), frame.vector[0].shape)"], folder)
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0] == "raw_titles {'ok': 8}"
    assert any(line.startswith("installed the first checkpoint") for line in lines)
    assert int(lines[-1].split()[0]) > 20


def test_the_configuration_example_is_valid() -> None:
    (example,) = blocks("toml")
    assert Config.model_validate(tomllib.loads(example)).timed_text.languages == ("en", "de")


def test_the_sidecar_example_is_valid() -> None:
    (example,) = blocks("json")
    assert set(json.loads(example)) <= set(METADATA_FIELDS)


def test_it_names_no_file_that_is_not_there() -> None:
    for name in re.findall(r"`(mediafm[a-z_]*/[a-z_/]*(?:\.py)?)`", README):
        assert (ROOT / name).exists(), name
    for module in set(re.findall(r"`(mediafm\.[a-z_.]+)\.?[A-Za-z_]*`", README)) - {"mediafm.toml", *PUBLIC_API}:
        path = ROOT.joinpath(*module.split("."))
        assert path.is_dir() or path.with_suffix(".py").exists() or path.parent.with_suffix(".py").exists(), module
