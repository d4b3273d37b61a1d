"""Telling of failed runs: the facts, a webhook that answers, fails or hangs, and a command without a shell."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mediafm.automation import FailureSettings
from mediafm.config import Config
from mediafm.errors import ConfigError, TransientError
from mediafm_pipelines.hooks import tell, webhook_url
from mediafm_pipelines.sensor_failures import failure_sensor

FACTS = {"event": "run_failed", "run_id": "r1", "message": "七人の侍 broke"}


class Heard(BaseHTTPRequestHandler):
    """Answers by path: /200, /500, /302 (to /200), /slow."""

    heard: list[tuple[str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).heard.append((self.path, json.loads(body)))
        if self.path == "/slow":
            time.sleep(1.0)
        self.send_response(int(self.path[1:]) if self.path != "/slow" else 200)
        if self.path == "/302":
            self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """A test's output is not the place."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    heard: list[tuple[str, dict[str, Any]]] = []
    handler = type("Handler", (Heard,), {"heard": heard})
    opened = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=opened.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{opened.server_port}", heard
    opened.shutdown()
    thread.join()
    opened.server_close()


def writing(file: Path, code: int = 0) -> tuple[str, ...]:
    """A command that keeps what it is told."""
    program = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read()); sys.exit(int(sys.argv[2]))"
    return (sys.executable, "-c", program, str(file), str(code))


def test_both_hooks_are_told_the_same_facts(server: Any, tmp_path: Path) -> None:
    url, heard = server
    settings = FailureSettings(webhook=f"{url}/200", command=writing(tmp_path / "$(told) file"))
    assert tell(settings, FACTS) == ["the webhook was told", "the command was told"]
    assert heard == [("/200", FACTS)]
    assert json.loads((tmp_path / "$(told) file").read_text()) == FACTS, "no shell looked at the arguments"


def test_without_hooks_nothing_is_told() -> None:
    assert tell(FailureSettings(), FACTS) == []


@pytest.mark.parametrize(("path", "said"), [("500", "answered 500"), ("302", "answered 302"), ("slow", "timed out")])
def test_a_webhook_that_does_not_take_it_is_an_error_and_the_command_is_told_all_the_same(
    server: Any, tmp_path: Path, path: str, said: str
) -> None:
    url, heard = server
    settings = FailureSettings(webhook=f"{url}/{path}", command=writing(tmp_path / "told"), timeout_seconds=0.3)
    settings = settings.model_copy(update={"timeout_seconds": 0.3 if path == "slow" else 10.0})
    if path == "slow":
        settings = settings.model_copy(update={"command": ()})
    with pytest.raises(TransientError, match=said) as raised:
        tell(settings, FACTS)
    assert url not in str(raised.value), "a URL may hold a secret"
    assert [where for where, _ in heard] == [f"/{path}"], "a redirect is not followed"
    assert (tmp_path / "told").exists() is (path != "slow")


def test_nobody_at_the_other_end(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="could not be reached"):
        tell(FailureSettings(webhook="http://127.0.0.1:9/hook"), FACTS)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((sys.executable, "-c", "import sys; sys.exit('no mail today')"), "ended with 1: no mail today"),
        ((sys.executable, "-c", "import time; time.sleep(30)"), "took longer than 1 s"),
        (("/nowhere/at-all",), "cannot be started"),
    ],
)
def test_a_command_that_does_not_end_well_is_an_error(command: tuple[str, ...], said: str) -> None:
    with pytest.raises(TransientError, match=said):
        tell(FailureSettings(command=command, timeout_seconds=1.0), FACTS)


def test_a_secret_url_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = FailureSettings(webhook="$MEDIAFM_TEST_HOOK")
    with pytest.raises(ConfigError, match="MEDIAFM_TEST_HOOK holds no URL"):
        webhook_url(settings)
    monkeypatch.setenv("MEDIAFM_TEST_HOOK", "https://example.org/secret")
    assert webhook_url(settings) == "https://example.org/secret"
    with pytest.raises(ValueError, match="webhook"):
        FailureSettings(webhook="file:///etc/passwd")


def test_a_failed_run_is_told_with_its_titles_and_its_steps(tmp_path: Path) -> None:
    @dg.op
    def breaks() -> None:
        raise dg.Failure("3 of 64 titles failed: a; b; c")

    @dg.job
    def a_job() -> None:
        breaks()

    told = tmp_path / "told.json"
    config = Config.model_validate({"root": "somewhere", "automation": {"failures": {"command": writing(told)}}})
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "z"}
        tags["mediafm/requested_by"] = "new_titles_sensor"
        result = a_job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
        context = dg.build_run_status_sensor_context(
            "failure_sensor", result.get_run_failure_event(), instance, result.dagster_run
        ).for_run_failure()
        failure_sensor(config)(context)
    facts = json.loads(told.read_text())
    assert (facts["event"], facts["run_id"], facts["job"]) == ("run_failed", result.run_id, "a_job")
    assert (facts["first_title"], facts["last_title"], facts["requested_by"]) == ("a", "z", "new_titles_sensor")
    assert facts["steps"] == {"breaks": "3 of 64 titles failed: a; b; c"}
    assert facts["ended_at"] >= facts["started_at"]
