"""A port that is taken is told before any server starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mediafm.config import Config
from mediafm.errors import ConfigError
from mediafm_pipelines.ui import serve_ui


@pytest.mark.parametrize("is_mlflow", [False, True])
def test_a_taken_port_is_told_before_anything_starts(is_mlflow: bool, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        port, other = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        ports = (other, port) if is_mlflow else (port, 0)
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot be listened on .*end what listens there"):
            serve_ui(Config(root=str(tmp_path / "root")), "127.0.0.1", *ports)
    assert list(tmp_path.iterdir()) == []
