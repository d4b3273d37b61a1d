"""Options that many verbs share, and the way from flags to the one configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mediafm.config import Config, load_config

Verb = Callable[..., Any]


def configured(verb: Verb) -> Verb:
    """Gives a verb `config`, made of `mediafm.toml` and the flags --config, --root, --state, --profile and --device."""

    @click.option("--config", "config_file", type=click.Path(path_type=Path), help="A mediafm.toml.")
    @click.option("--root", help="Where the data lies (default: .mediafm).")
    @click.option("--state", help="Where Dagster's and MLflow's state lies (default: <root>/state).")
    @click.option("--profile", help="A shipped profile, or a profile file (default: lite).")
    @click.option("--device", help="auto, cpu, cuda or cuda:N.")
    @wraps(verb)
    def with_config(
        *args: Any,
        config_file: Path | None,
        root: str | None,
        state: str | None,
        profile: str | None,
        device: str | None,
        **rest: Any,
    ) -> Any:
        flags = {"root": root, "state": state, "profile": profile, "device": device}
        config: Config = load_config(config_file, flags)
        return verb(*args, config=config, **rest)

    return with_config


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, and nothing else there.")
