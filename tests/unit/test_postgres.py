"""A database that cannot be reached is told at once, and the password with nobody. No server is needed here."""

from __future__ import annotations

import socket
import sys

import pytest

from mediafm.errors import ConfigError, StoreError
from mediafm.postgres import connected


def nobody_listens() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_down_is_told_with_its_own_words() -> None:
    pytest.importorskip("psycopg2", reason="pip install 'mediafm[postgres]'")
    url = f"postgresql+psycopg2://me:hush@127.0.0.1:{nobody_listens()}/mediafm"
    with (
        pytest.raises(StoreError, match=r"servers\.dagster: .*refused.*must answer") as caught,
        connected(url, "servers.dagster"),
    ):
        pytest.fail("nobody listens there")
    assert "hush" not in str(caught.value)


def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    with (
        pytest.raises(ConfigError, match="Percent-encode") as caught,
        connected("postgresql+psycopg2://me:hu@sh@db:port/mediafm", "servers.mlflow"),
    ):
        pytest.fail("there is no such port")
    assert "hu@sh" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with (
        pytest.raises(ConfigError, match=r"psycopg2.*pip install 'mediafm\[postgres\]'"),
        connected("postgresql+psycopg2://me@127.0.0.1/mediafm", "servers.dagster"),
    ):
        pytest.fail("the driver is not there")
