"""What Dagster's database says when it cannot be read or written, as an error that names place and remedy.

Belongs here: the one conversion of the complaints of databases and disks beneath Dagster. Does not belong here: whose
instance it is (`mediafm_pipelines.instance`).
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mediafm.errors import StoreError
from mediafm.store.files import FULL_DISK, storage_error

RULE = "Dagster's state lies where there is room, and nobody else holds its database for long"

LITTLE_BYTES = 1024**2
"""With less left, a fault of the database is taken for one of room (our choice)."""


@contextmanager
def stating_database_errors(home: Path) -> Iterator[None]:
    """Around work on Dagster's instance.

    Args:
        home: its folder, for the message.

    Raises:
        StoreError: the database is locked, full, damaged or gone, or the disk is full.
    """
    import sqlalchemy.exc

    try:
        yield
    except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError):
        raise  # the database is well: the program asked what it must not
    except (sqlalchemy.exc.DatabaseError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(
            f"Dagster's database cannot be used ({cause})",
            rule=RULE,
            where=str(home),
            remedy=remedy_of(str(cause), home),
        ) from error
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise storage_error("write", error.filename or str(home), error) from error


def remedy_of(said: str, home: Path | None = None) -> str:
    """What to do about a database that said so.

    A full disk is an I/O error to SQLite where it could not even begin to write: the disk of `home` itself is asked.
    """
    if "locked" in said:
        return "See who holds it (a backup, another program), then run again: what was finished stays."
    if "full" in said or (home is not None and home.exists() and shutil.disk_usage(home).free < LITTLE_BYTES):
        return "Free some space, then run again: what was finished stays."
    return "Look after the disk and the database, then run again: what was finished stays."
