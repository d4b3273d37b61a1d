"""`[servers]`: what may stand there, what the environment must hold, and that no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediafm.config import Config, load_config
from mediafm.errors import ConfigError
from mediafm.servers import ServerSettings, without_password

SECRET = "hush-hush"
DAGSTER = f"postgresql+psycopg2://mediafm:{SECRET}@db:5432/dagster"
MLFLOW = f"postgresql+psycopg2://mediafm:{SECRET}@db:5432/mlflow"


def test_nothing_set_leaves_both_to_sqlite() -> None:
    servers = Config().servers
    assert (servers.dagster, servers.mlflow, servers.has_mlflow_server) == (None, None, False)


def test_urls_come_from_the_variables_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DB", DAGSTER)
    monkeypatch.setenv("MLFLOW_DB", MLFLOW)
    servers = ServerSettings(dagster="$DAGSTER_DB", mlflow="$MLFLOW_DB")
    assert (servers.dagster_url(), servers.mlflow_uri()) == (DAGSTER, MLFLOW)
    assert servers.dagster_variable == "DAGSTER_DB"
    assert not servers.has_mlflow_server
    assert SECRET not in Config(servers=servers).model_dump_json()


def test_a_url_without_a_password_may_stand_in_the_file() -> None:
    servers = ServerSettings(dagster="postgresql+psycopg2://mediafm@db/dagster", mlflow="https://mlflow.example/")
    assert servers.dagster_url() == "postgresql+psycopg2://mediafm@db/dagster"
    assert servers.dagster_variable is None
    assert servers.mlflow_uri() == "https://mlflow.example"
    assert servers.has_mlflow_server


@pytest.mark.parametrize("field", ["dagster", "mlflow"])
def test_a_password_in_the_file_is_refused_and_not_repeated(field: str, tmp_path: Path) -> None:
    file = tmp_path / "mediafm.toml"
    file.write_text(f'[servers]\n{field} = "{DAGSTER}"\n')
    with pytest.raises(ConfigError, match="passwords come by the environment") as caught:
        load_config(file)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("", "the environment variable DAGSTER_DB is not set"),
        (f"postgresql://mediafm:{SECRET}@db/dagster", "with the driver named"),
        (f"mediafm:{SECRET}@db/dagster", "no URL; a database is"),
        (f"postgresql+psycopg2://mediafm:{SECRET}@db", "a URL of the form postgresql.psycopg2://HOST; a database is"),
        (f"postgresql+psycopg2://mediafm:{SECRET}@db/", "a database is postgresql.psycopg2://USER:PASSWORD@HOST"),
    ],
)
def test_what_is_no_database_is_told_without_the_url(url: str, match: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DB", url)
    with pytest.raises(ConfigError, match=match) as caught:
        ServerSettings(dagster="$DAGSTER_DB").dagster_url()
    assert SECRET not in str(caught.value)


def test_one_database_for_both_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTH", DAGSTER)
    with pytest.raises(ConfigError, match="each needs a database of its own"):
        ServerSettings(dagster="$BOTH", mlflow="$BOTH").mlflow_uri()


def test_a_server_with_a_password_in_its_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM", f"https://me:{SECRET}@mlflow.example")
    with pytest.raises(ConfigError, match="Set MLFLOW_TRACKING_USERNAME") as caught:
        ServerSettings(mlflow="$TEAM").mlflow_uri()
    assert SECRET not in str(caught.value)


def test_artifacts_lie_at_an_absolute_place() -> None:
    assert ServerSettings(mlflow_artifacts="s3://films/mlartifacts").mlflow_artifacts == "s3://films/mlartifacts"
    with pytest.raises(ValueError, match="an absolute path or a URL"):
        ServerSettings(mlflow_artifacts="mlartifacts")


def test_passwords_are_taken_out_of_messages() -> None:
    assert (
        without_password(f"cannot reach {DAGSTER} now") == "cannot reach postgresql+psycopg2://***@db:5432/dagster now"
    )
    assert without_password("models:/mediafm@champion in sqlite:////tmp/mlflow.db") == (
        "models:/mediafm@champion in sqlite:////tmp/mlflow.db"
    )
