"""An instance is opened by one process at a time: two that make its tables at once would stumble over each other."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

from mediafm_pipelines.instance import LOCK_FILE, open_instance, prepare_instance
from tests.pipelines.conftest import config_of


def test_who_comes_second_waits_until_the_first_has_opened_it(tmp_path: Path) -> None:
    config = config_of(tmp_path / "root")
    home = prepare_instance(config)
    is_open = threading.Event()

    def second() -> None:
        with open_instance(config):
            is_open.set()

    thread = threading.Thread(target=second)
    with (home / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread.start()
        assert not is_open.wait(1.0)
        assert not list(home.rglob("*.db")), "no table is made meanwhile"
    assert is_open.wait(120.0)
    thread.join()
