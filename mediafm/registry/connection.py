"""How MLflow is reached: telemetry off, a database made by one process, a server that answers, its errors as ours."""

from __future__ import annotations

import fcntl
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mediafm.errors import NotFoundError, StoreError
from mediafm.postgres import CONNECT_SECONDS, connected, only_process
from mediafm.servers import POSTGRES, WEB, without_password

_SQLITE = "sqlite:///"
_OFF = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def import_mlflow() -> Any:
    """MLflow, imported with its telemetry off."""
    for name, value in _OFF.items():
        os.environ.setdefault(name, value)
    import mlflow

    return mlflow


def client_of(tracking_uri: str) -> Any:
    """A client of an MLflow that is there; nothing is made.

    Raises:
        NotFoundError: a SQLite database that does not exist.
        StoreError: a database or server that does not answer; at once, where MLflow would try for minutes.
    """
    if tracking_uri.startswith(POSTGRES):
        with connected(tracking_uri, "servers.mlflow"):
            pass
    if tracking_uri.startswith(WEB):
        _knock(tracking_uri)
    database = sqlite_file(tracking_uri)
    if database is not None and not database.exists():
        raise NotFoundError(
            f"no MLflow database {database}",
            rule="models:/ names are looked up in the MLflow of the configured root, or in `tracking_uri`",
            remedy="Give --root, a mediafm.toml or the tracking URI; a checkpoint's sha256 or folder needs no MLflow.",
        )
    return import_mlflow().MlflowClient(tracking_uri, tracking_uri)


def sqlite_file(tracking_uri: str) -> Path | None:
    """The database's file; None for a server or another database."""
    return Path(tracking_uri.removeprefix(_SQLITE)) if tracking_uri.startswith(_SQLITE) else None


def make_database(tracking_uri: str) -> None:
    """Makes an absent SQLite database beside its place and moves it there: MLflow cannot mend one that is half made."""
    database = sqlite_file(tracking_uri)
    if database is None or database.exists():
        return
    beside = database.with_suffix(".making")
    beside.unlink(missing_ok=True)
    beside.with_name(f"{beside.name}-journal").unlink(missing_ok=True)
    import_mlflow().MlflowClient(f"{_SQLITE}{beside}", f"{_SQLITE}{beside}").search_experiments(max_results=1)
    beside.rename(database)


@contextmanager
def locked(tracking_uri: str) -> Iterator[None]:
    """Only one process at a time makes a database: racing creators crash each other. Raises as `client_of` does."""
    database = sqlite_file(tracking_uri)
    if tracking_uri.startswith(POSTGRES):
        with only_process(tracking_uri, "servers.mlflow"):
            yield
        return
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _knock(uri: str) -> None:
    """Any answer will do, a refusal as well: credentials are MLflow's own business, and its own error."""
    try:
        urllib.request.urlopen(f"{uri}/health", timeout=CONNECT_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError as error:
        raise StoreError(
            f"no answer ({getattr(error, 'reason', error)})",
            rule="the MLflow server must answer",
            where=uri,
            remedy="Start it, or mend servers.mlflow.",
        ) from error


@contextmanager
def global_tracking_uri(tracking_uri: str) -> Iterator[None]:
    """MLflow 3.17 resolves `models:/m-...` through its global URI, whatever the client's: lends it ours."""
    mlflow = import_mlflow()
    in_environment = os.environ.get("MLFLOW_TRACKING_URI")
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        if in_environment is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = in_environment


@contextmanager
def quiet() -> Iterator[None]:
    """Without the migrations' chatter while a database is made."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "mlflow.store", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def refusals(where: str) -> Iterator[None]:
    """MLflow's own errors as ours."""
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        # An alias that is nowhere is an "invalid parameter" to MLflow.
        code = getattr(error, "error_code", "")
        if code == "RESOURCE_DOES_NOT_EXIST" or str(error).rstrip(".").endswith("not found"):
            raise NotFoundError(
                without_password(str(error).splitlines()[0]),
                rule="MLflow knows what it is asked for",
                where=without_password(where),
                remedy="Look at the name, the alias and the tracking URI.",
            ) from error
        raise StoreError(
            without_password(str(error).splitlines()[0]),
            rule="MLflow must answer",
            where=without_password(where),
            remedy="Look at the tracking URI; the checkpoint itself lies in the store.",
        ) from error
