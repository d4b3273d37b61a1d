"""Dagster's instance in a PostgreSQL database: its part of `dagster.yaml`, its extra, whose it is.

Belongs here: what only that database needs. Does not belong here: where the instance's files lie
(`mediafm_pipelines.instance`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import dagster as dg

from mediafm.errors import ConfigError, StoreError
from mediafm.postgres import connected, only_process
from mediafm.servers import ServerSettings

WHERE = "servers.dagster"
ROOT_KEY = "mediafm/root"
"""Of Dagster's table of keys and values, `kvs`."""


def postgres_settings(servers: ServerSettings) -> dict[str, Any]:
    """`storage` of `dagster.yaml`: the name of the variable that holds the URL, never what it holds."""
    variable = servers.dagster_variable
    return {"postgres": {"postgres_url": {"env": variable} if variable else servers.dagster}}


def check_database(servers: ServerSettings) -> None:
    """Says at once what Dagster would say after a minute, or in a traceback.

    Raises:
        ConfigError: the extra is not installed, the variable not set, the URL not one.
        StoreError: the database does not answer.
    """
    url = servers.dagster_url()
    if find_spec("dagster_postgres") is None:
        raise ConfigError(
            "the Python package dagster_postgres is not installed",
            rule="Dagster on PostgreSQL needs an extra",
            where=WHERE,
            remedy="pip install 'mediafm[postgres]'.",
        )
    with connected(url, WHERE):
        pass


@contextmanager
def stating_server_errors(servers: ServerSettings) -> Iterator[None]:
    """Around work on Dagster's instance; nothing where it lies on this machine.

    Raises:
        StoreError: the server went away meanwhile, and Dagster has tried often enough.
    """
    if servers.dagster is None:
        yield
        return
    from dagster_postgres.utils import DagsterPostgresException

    try:
        yield
    except DagsterPostgresException as error:
        raise StoreError(
            " ".join(str(getattr(error.__cause__, "orig", None) or error).split()),
            rule="the database must answer",
            where=WHERE,
            remedy="Look after the server, then run again: what was finished stays.",
        ) from error


def claim_database(instance: dg.DagsterInstance, servers: ServerSettings, root: str) -> None:
    """Writes the root into a database that has none yet.

    Raises:
        ConfigError: it belongs to another root, whose titles and runs would mix with this one's.
    """
    storage = instance.run_storage
    with only_process(servers.dagster_url(), WHERE):
        claimed = storage.get_cursor_values({ROOT_KEY}).get(ROOT_KEY)
        if claimed is None:
            storage.set_cursor_values({ROOT_KEY: root})
    if claimed not in (None, root):
        raise ConfigError(
            f"the database belongs to the root {claimed}",
            rule=f"one database serves one root, and this run's root is {root}",
            where=WHERE,
            remedy=f"Give it a database of its own; if the root was moved: UPDATE kvs SET value = '{root}' "
            f"WHERE key = '{ROOT_KEY}'.",
        )
