"""Reads a detector's settings out of a profile."""

from __future__ import annotations

import difflib
from typing import TypeVar

from pydantic import ValidationError

from mediafm.config import DetectorChoice, Section, complaints_of
from mediafm.errors import ConfigError

SettingsType = TypeVar("SettingsType", bound=Section)


def read_settings(model: type[SettingsType], choice: DetectorChoice) -> SettingsType:
    """The settings of `choice`, the defaults where it says nothing.

    Raises:
        ConfigError: a setting is unknown (the nearest is named) or out of its bounds.
    """
    known = list(model.model_fields)
    where = f"detector {choice.name}"
    for key in choice.settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise ConfigError(
                f"setting {key!r}",
                rule=f"its settings are {', '.join(known)}",
                where=where,
                remedy=f"Did you mean {near[0]!r}?" if near else "Leave it out.",
            )
    try:
        return model.model_validate(dict(choice.settings))
    except ValidationError as error:
        raise ConfigError(
            complaints_of(error),
            rule="every setting stays within its bounds",
            where=where,
            remedy="Mend the profile.",
        ) from error
