"""What may be asked of a root, and that the question reaches the right audit, from the command line too."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from click.testing import CliRunner

from mediafm.cli.main import library
from mediafm.config import Config
from mediafm.errors import ConfigError, NotFoundError
from mediafm.steps.audit import AuditRequest, audit_root, configured_choice, moment_of
from mediafm.steps.holding import hold_title
from mediafm.steps.producers import checkpoint_producers
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import SERVING
from mediafm.testing.stored_titles import CHECKPOINT, make, make_checkpoint, producer_ids


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    """Titles a and b by the fake encoders, through the whole graph."""
    workspace.point_producers()
    producers = {**workspace.producers, **checkpoint_producers(CHECKPOINT)}
    titles = {title: make(workspace.store, workspace.ledger, title, list(producers), producers) for title in "ab"}
    make_checkpoint(workspace.store, workspace.ledger, titles)
    value: dict[str, Any] = {"checkpoint_sha256": CHECKPOINT, "producers": producer_ids(producers)}
    workspace.pointers.ensure(SERVING, value, "test")
    workspace.ledger.flush()
    return workspace


def test_one_subject_is_asked_for() -> None:
    for wrong in ({}, {"title_id": "a", "media": "x"}, {"is_stale": True, "labels": "x"}):
        with pytest.raises(ConfigError, match="an audit is about one title"):
            AuditRequest(**wrong)
    AuditRequest(as_of=datetime.now(UTC))
    AuditRequest(title_id="a", as_of=datetime.now(UTC))


def test_times_are_utc_unless_they_say_otherwise() -> None:
    assert moment_of("2026-11-21") == datetime(2026, 11, 21, tzinfo=UTC)
    assert moment_of("2026-11-21T14:30+01:00") == datetime(2026, 11, 21, 14, 30, tzinfo=timezone(timedelta(hours=1)))
    with pytest.raises(ConfigError, match="the time 'yesterday'"):
        moment_of("yesterday")


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"title_id": "a"}, "title"),
        ({"checkpoint": CHECKPOINT[:8]}, "checkpoint"),
        ({"encoder": "fake-video"}, "encoder"),
        ({"media": "media-of-a"}, "media"),
        ({"is_stale": True}, "stale titles"),
        ({"as_of": datetime.now(UTC) + timedelta(days=1)}, "moment"),
    ],
)
def test_the_question_reaches_its_audit(filled: Workspace, config: Config, request_: dict[str, Any], kind: str) -> None:
    tree, complaints = audit_root(config, AuditRequest(**request_))
    assert (tree.kind, complaints) == (kind, [])
    json.dumps(tree.as_json())


def test_stale_is_what_the_configuration_of_now_would_make_otherwise(filled: Workspace, config: Config) -> None:
    assert audit_root(config, AuditRequest(is_stale=True))[0].facts["num_titles"] == 0
    changed = config.model_copy(update={"frames": config.frames.model_copy(update={"frames_per_shot": 3})})
    assert configured_choice(changed, filled.store).serving == configured_choice(config, filled.store).serving
    tree, _ = audit_root(changed, AuditRequest(is_stale=True))
    (stale,) = tree.children
    assert (stale.name, stale.facts["cause"], stale.facts["titles"]) == ("frames", "configuration", ["a", "b"])


def test_before_the_first_record_there_was_nothing(filled: Workspace, config: Config) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    tree, _ = audit_root(config, AuditRequest(as_of=past))
    assert tree.facts["readers_got"] == {"checkpoint_sha256": "", "num_titles": 0}
    with pytest.raises(NotFoundError, match="no title 'a'"):
        audit_root(config, AuditRequest(title_id="a", as_of=past))


def test_a_held_title_says_so(filled: Workspace, config: Config) -> None:
    hold_title(config, "a", reason="court")
    held: Any = audit_root(config, AuditRequest(title_id="a"))[0].facts["held"]
    assert held["reason"] == "court"


def test_the_verbs(filled: Workspace, config: Config) -> None:
    where = ["--root", config.root, "--profile", config.profile]
    runner = CliRunner()
    damaged = next((filled.store.root / "store" / "spans").rglob("a/*.parquet"))
    told = runner.invoke(library, ["audit", "--title", "a", *where])
    assert (told.exit_code, "read again" in told.output) == (0, True), told.output
    damaged.write_bytes(b"else")
    assert runner.invoke(library, ["audit", "--title", "a", *where]).exit_code == 3
    assert runner.invoke(library, ["audit", *where]).exit_code == 2
    assert runner.invoke(library, ["hold", "--title", "a", "--reason", "court", *where]).exit_code == 0
    listed = json.loads(runner.invoke(library, ["hold", "--json", *where]).stdout)
    assert [hold["title_id"] for hold in listed["holds"]] == ["a"]
    assert runner.invoke(library, ["hold", "--title", "a", "--release", *where]).exit_code == 0
    assert runner.invoke(library, ["hold", "--title", "a", "--release", *where]).exit_code == 2
