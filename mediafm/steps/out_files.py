"""Files that a verb writes where its user says: whole or not at all, and over nothing unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mediafm.errors import ConfigError


def require_place(out: Path, is_forced: bool) -> None:
    """Raises `ConfigError` where `out` is there already, unless forced, or its folder is not."""
    if out.exists() and not is_forced:
        raise ConfigError(f"{out} is there", rule="no file is overwritten unasked", remedy="`--force` replaces it.")
    if not out.absolute().parent.is_dir():
        raise ConfigError(
            f"there is no folder {out.absolute().parent}",
            rule="a file is written into a folder that is there",
            remedy="Make the folder first.",
        )


@contextmanager
def written_beside(out: Path, is_forced: bool) -> Iterator[Path]:
    """A path to write to; what stands there becomes `out` when the context ends well, else it is removed.

    Raises:
        ConfigError: as `require_place`, at the end too: of two writers without force the second is refused.
    """
    require_place(out, is_forced)
    beside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        yield beside
        if is_forced:
            beside.replace(out)
            return
        try:
            os.link(beside, out)
        except FileExistsError:
            require_place(out, is_forced)
    finally:
        beside.unlink(missing_ok=True)
