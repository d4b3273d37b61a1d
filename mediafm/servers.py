"""`[servers]`: Dagster's and MLflow's state on servers instead of SQLite files. A section of `mediafm.config`.

A password never stands in a configuration: it comes by an environment variable that the configuration names, and
Dagster's own `dagster.yaml` names the same variable.
"""

from __future__ import annotations

import os
import re

from pydantic import BaseModel, ConfigDict, field_validator

from mediafm.errors import ConfigError

POSTGRES = "postgresql+psycopg2://"
"""The driver is named: for "postgresql://" SQLAlchemy 2.1 takes another one, which dagster-postgres cannot use."""
WEB = ("http://", "https://")
_VARIABLE = re.compile(r"\$([A-Z_][A-Z0-9_]*)")
_PASSWORD = re.compile(r"//[^/@\s]*:[^/@\s]*@")


class ServerSettings(BaseModel):
    """Each is a URL without a password, or "$NAME" for an environment variable that holds one with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dagster: str | None = None
    """`postgresql+psycopg2://USER@HOST:PORT/DATABASE`: this root's own database. SQLite in the state unless set."""
    mlflow: str | None = None
    """Such a database, another one than Dagster's, or the address of a team's MLflow server. SQLite unless set."""
    mlflow_artifacts: str | None = None
    """A folder or `s3://bucket/prefix` for MLflow's copies. Unless set: the state's, or what a team's server says."""

    @field_validator("dagster", "mlflow")
    @classmethod
    def _holds_no_secret(cls, value: str | None) -> str | None:
        if value is None or _VARIABLE.fullmatch(value):
            return value
        if _PASSWORD.search(value):
            raise ConfigError(  # pydantic's own complaint would show the value, and with it the password
                "a URL with a password in it",
                rule="passwords come by the environment",
                where="servers",
                remedy='Put the URL into a variable, and write "$NAME" here.',
            )
        return value

    @field_validator("mlflow_artifacts")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/") and "://" not in value:
            raise ValueError("an absolute path or a URL such as s3://bucket/prefix")
        return value

    @property
    def dagster_variable(self) -> str | None:
        """The environment variable that holds Dagster's URL; None where it stands in the configuration."""
        found = _VARIABLE.fullmatch(self.dagster or "")
        return found[1] if found else None

    @property
    def has_mlflow_server(self) -> bool:
        """Whether MLflow is a team's server, reached by HTTP. Raises `ConfigError`."""
        return self.mlflow is not None and self.mlflow_uri().startswith(WEB)

    def dagster_url(self) -> str:
        """The database of Dagster's instance, password included. Raises `ConfigError`: no such variable or URL."""
        url = _resolved(self.dagster, "servers.dagster")
        _check_postgres(url, "servers.dagster")
        return url

    def mlflow_uri(self) -> str:
        """MLflow's tracking URI, password included.

        Raises:
            ConfigError: no such variable; neither a database nor a server; the database that Dagster uses.
        """
        uri = _resolved(self.mlflow, "servers.mlflow")
        if uri.startswith(WEB):
            _check_web(uri)
            return uri.rstrip("/")
        _check_postgres(uri, "servers.mlflow")
        if self.dagster is not None and without_password(uri) == without_password(self.dagster_url()):
            raise ConfigError(
                "servers.dagster and servers.mlflow are one database",
                rule="both have a table `runs` and one of migrations, so each needs a database of its own",
                where="servers",
                remedy="CREATE DATABASE a second one.",
            )
        return uri


def without_password(text: str) -> str:
    """`text` with what stands before the @ of each URL taken out."""
    return _PASSWORD.sub("//***@", text)


def _resolved(value: str | None, where: str) -> str:
    found = _VARIABLE.fullmatch(value or "")
    if found is None:
        return value or ""
    url = os.environ.get(found[1], "")
    if not url:
        raise ConfigError(
            f"the environment variable {found[1]} is not set",
            rule=f"{where} = {value!r} takes the URL from it",
            where=where,
            remedy="Set it where mediafm, its daemon and its runs are started.",
        )
    return url


def _check_postgres(url: str, where: str) -> None:
    scheme, mark, place = url.partition("://")
    if not url.startswith(POSTGRES) or not all(place.rpartition("/")[::2]):
        raise ConfigError(
            f"a URL of the form {scheme}://" + ("HOST/DATABASE" if "/" in place else "HOST") if mark else "no URL",
            rule=f"a database is {POSTGRES}USER:PASSWORD@HOST:PORT/DATABASE, with the driver named",
            where=where,
            remedy="Write it so; a password with @, / or : in it is percent-encoded.",
        )


def _check_web(uri: str) -> None:
    if "@" in uri.split("/")[2]:
        raise ConfigError(
            "the address of an MLflow server with a name or a password in it",
            rule="MLflow would repeat it in its error messages",
            where="servers.mlflow",
            remedy="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
        )
