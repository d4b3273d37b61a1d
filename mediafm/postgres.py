"""A PostgreSQL database of `[servers]`: reached, or told at once why not; and one process at a time in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mediafm.errors import ConfigError, StoreError

CONNECT_SECONDS = 10
_LOCK = 0x6D656469  # "medi"; an advisory lock's number is its own database's business


@contextmanager
def connected(url: str, where: str) -> Iterator[Any]:
    """A SQLAlchemy connection that commits each statement.

    Args:
        url: `postgresql+psycopg2://...`, as `mediafm.servers` checked it.
        where: the setting, for messages; the URL holds a password and is never shown.

    Raises:
        ConfigError: psycopg2 is not installed, or the URL cannot be read.
        StoreError: nothing answers there, or it refuses; the server's own words, which hold no password.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, OperationalError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the Python package {error.name} is not installed",
            rule="databases on PostgreSQL need an extra",
            where=where,
            remedy="pip install 'mediafm[postgres]'.",
        ) from error
    except (ArgumentError, ValueError):
        # Without its cause: SQLAlchemy and int() repeat pieces of the URL.
        raise ConfigError(
            "a URL that cannot be read",
            rule="a database is postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE",
            where=where,
            remedy="Percent-encode @, / and : in the password.",
        ) from None
    except OperationalError as error:
        raise StoreError(
            " ".join(str(error.orig).split()),
            rule="the database must answer",
            where=where,
            remedy="Look whether the server runs and lets this machine, user and password in.",
        ) from error
    try:
        yield connection
    finally:
        connection.close()
        engine.dispose()


@contextmanager
def only_process(url: str, where: str) -> Iterator[None]:
    """Only one process at a time, on whatever machine: makers of the same tables crash each other. Errors as above."""
    from sqlalchemy import text

    with connected(url, where) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _LOCK})
        yield  # the lock ends with the connection
