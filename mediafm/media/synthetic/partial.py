"""A directory that appears whole or not at all."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mediafm.errors import StoreError

LOCK_NAME = ".lock"
"""Held, in a directory that is being written, as long as its writer lives."""


@contextmanager
def written_beside(directory: Path) -> Iterator[Path]:
    """A new directory beside `directory` that takes its place if all goes well and is gone otherwise.

    What killed writers left behind is removed first. If somebody else was quicker, theirs stays.

    Raises:
        StoreError: the place cannot be written.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(directory)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".partial", dir=directory.parent))
    except OSError as error:
        raise StoreError(
            f"it cannot be made ({error.strerror})",
            rule="the directory beside it can be written",
            where=str(directory),
            remedy="Name another directory, or mend its permissions.",
        ) from error
    try:
        with (partial / LOCK_NAME).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield partial
            partial.chmod(0o755)
            (partial / LOCK_NAME).unlink()
            _put_in_place(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, directory: Path) -> None:
    try:
        os.replace(partial, directory)
    except OSError:
        if not (directory.is_dir() and any(directory.iterdir())):
            raise


def _remove_abandoned(directory: Path) -> None:
    for lock_path in directory.parent.glob(f".{glob.escape(directory.name)}.*.partial/{LOCK_NAME}"):
        with lock_path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock_path.parent, ignore_errors=True)
