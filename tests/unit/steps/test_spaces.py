"""The space of a checkpoint in use under another configuration: made again, shared where it is the same, or waiting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediafm.config import Config, EncoderChoice, Profile, load_profile
from mediafm.encoders.registry import create_encoder
from mediafm.errors import ConfigError
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.checkpoints import checkpoint_record
from mediafm.steps.contextual import ContextualStep
from mediafm.steps.embeddings import TextEmbeddingsStep, VideoEmbeddingsStep
from mediafm.steps.fused import FusedStep
from mediafm.steps.in_context import embed_in_context, titles_to_embed
from mediafm.steps.plan import titles_to_ingest
from mediafm.steps.producers import configured_producers
from mediafm.steps.recorded_profile import choice_of, recorded_settings
from mediafm.steps.runner import run_step
from mediafm.steps.serving import serve
from mediafm.steps.space_settings import agree, space_settings, workspace_of
from mediafm.steps.spaces import other_spaces, run_in_spaces
from mediafm.steps.step import TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, PRODUCERS
from mediafm.store.views import connect, records
from mediafm.testing.stored_titles import make
from mediafm.types import Json, Modality, TitleState
from tests.unit.steps.checkpoints import stored_checkpoint
from tests.unit.steps.served_root import OLD, embedded, ingested, with_checkpoint

SHARED = ("titles", "spans", "frames", "cues", "video_embeddings", "audio_embeddings")
"""What a title has in both spaces alike; its metadata is not read here."""


@pytest.fixture
def changed(config: Config, tmp_path: Path) -> Config:
    """Another text encoder is configured than in `config`."""
    wider = tmp_path / "wider.toml"
    wider.write_text(Path(config.profile).read_text()[::-1].replace("width = 4"[::-1], "width = 8"[::-1], 1)[::-1])
    assert load_profile(str(wider)).text.settings == {"width": 8}
    return config.model_copy(update={"profile": str(wider)})


@pytest.fixture
def other(workspace: Workspace, changed: Config) -> Iterator[Workspace]:
    """A workspace of the other configuration on a root whose champion reads the first one's space."""
    ingested(workspace, "a")
    recorded: dict[str, Json] = {table: dict(value) for table, value in workspace.producers.items()}
    workspace.ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=OLD,
            checkpoint_sha256=OLD,
            details={"producers": recorded, "settings": space_settings(workspace)},
        )
    )
    workspace.ledger.flush()
    workspace.pointers.ensure(CHAMPION, {"checkpoint_sha256": OLD, "is_provisional": False}, "test")
    embedded(workspace, OLD, "a")
    serve(workspace)
    with Workspace.open(changed, run_id="run-2") as opened:
        yield opened


def arrives(workspace: Workspace, title_id: str) -> None:
    make(workspace.store, workspace.ledger, title_id, SHARED, workspace.producers)
    workspace.ledger.flush()


def steps_of(kind: Any) -> Any:
    def alone(workspace: Workspace) -> list[TitleStep]:
        return [kind(workspace)]

    return alone


def test_a_new_title_is_made_in_both_spaces_and_what_is_shared_once(other: Workspace) -> None:
    other.point_producers()
    pointed = other.pointers.read(PRODUCERS)
    arrives(other, "b")
    text = run_in_spaces(other, steps_of(TextEmbeddingsStep), ["b"])
    ((space, report),) = text.elsewhere
    assert (space.checkpoints, report.num_made) == ((OLD,), 1)
    assert f"of checkpoint {OLD[:16]}: 1 of 1 titles made; 1 ok" in text.markdown()
    video = run_in_spaces(other, steps_of(VideoEmbeddingsStep), ["b"])
    assert (video.elsewhere, video.markdown()) == ((), "")
    other.ledger.flush()
    assert run_in_spaces(other, steps_of(FusedStep), ["b"]).elsewhere[0][1].num_made == 1
    other.ledger.flush()
    counts = {table: len(records(other.store, [table], ["b"])) for table in (*SHARED, "text_embeddings")}
    assert counts == {**dict.fromkeys(SHARED, 1), "text_embeddings": 2}
    assert other.pointers.read(PRODUCERS) == pointed, "readers are not pointed to the other space"


def test_a_fault_in_the_other_space_is_the_titles_fault(other: Workspace) -> None:
    arrives(other, "b")
    (cues,) = records(other.store, ["cues"], ["b"])
    run_step(other, TextEmbeddingsStep(other), other.titles(["b"]))
    other.ledger.flush()
    path = other.store.root / cues.object_key
    data = bytearray(path.read_bytes())
    data[4:12] = bytes(255 - byte for byte in data[4:12])
    path.unlink()
    path.write_bytes(data)
    found = run_in_spaces(other, steps_of(TextEmbeddingsStep), ["b"])
    (outcome,) = found.report.outcomes
    assert outcome.state is TitleState.FAILED
    assert outcome.reason.startswith("in space")


def test_a_title_is_taken_up_as_long_as_it_lacks_a_value_in_either_space(other: Workspace) -> None:
    arrives(other, "b")
    tables = [table for table in other.producers if table not in SHARED]
    make(other.store, other.ledger, "b", tables, other.producers)
    other.ledger.flush()
    (space,) = other_spaces(other)
    assert space.workspace is not None
    assert titles_to_ingest(other, [], ["b"]) == ["b"]
    make(other.store, other.ledger, "b", tables, space.workspace.producers)
    other.ledger.flush()
    assert titles_to_ingest(other, [], ["b"]) == []


def test_where_the_spaces_are_one_there_is_no_other(workspace: Workspace) -> None:
    ingested(workspace, "a")
    assert other_spaces(workspace) == []
    with_checkpoint(workspace, OLD)
    assert other_spaces(workspace) == []


def test_what_cannot_be_made_waits_and_the_ledger_says_why_once(workspace: Workspace) -> None:
    """The code makes other cues than when the checkpoint was trained: as with weights that are gone."""
    ingested(workspace, "a")
    producers = {**workspace.producers, "cues": {**workspace.producers["cues"], "step_version": 99}}
    stored = stored_checkpoint(workspace, 1)
    row = checkpoint_record(workspace.store, stored)
    details: dict[str, Json] = {"producers": {table: dict(value) for table, value in producers.items()}}
    workspace.ledger.add(LedgerRecord(**{**_fields(row), "details": details}))
    workspace.ledger.flush()
    workspace.pointers.ensure(CHAMPION, {"checkpoint_sha256": stored, "is_provisional": False}, "test")
    (space,) = other_spaces(workspace)
    assert space.workspace is None
    assert "this code and these weights give other cues" in space.reason
    assert "`mediafm run`" in space.reason
    assert titles_to_ingest(workspace, [], ["a"]) == [], "a run would not help"
    for wanted in (["a"], []):
        assert titles_to_embed(workspace) == wanted, "said once"
        (outcome,) = embed_in_context(workspace, ["a"]).report.outcomes
        workspace.ledger.flush()
        assert outcome.state is TitleState.WAITING
        assert "give other cues" in outcome.reason
    assert [row.state for row in records(workspace.store, ContextualStep.tables)] == [TitleState.WAITING]


def test_a_waiting_title_says_so_in_its_status(other: Workspace) -> None:
    (row,) = records(other.store, ["checkpoints"])
    gone: Any = {**row.details, "settings": {**dict(row.details["settings"])}}  # type: ignore[call-overload]
    gone["settings"]["profile"] = {**gone["settings"]["profile"], "text": {"name": "gone-text", "settings": {}}}
    other.ledger.add(LedgerRecord(**{**_fields(row), "details": gone}))
    other.ledger.flush()
    arrives(other, "b")
    make(other.store, other.ledger, "b", [t for t in other.producers if t not in SHARED], other.producers)
    other.ledger.flush()
    other.point_producers()
    assert titles_to_embed(other) == ["b"]
    embed_in_context(other, ["b"])
    other.ledger.flush()
    with connect(other.store, ["b"]) as connection:
        ((state, reason),) = connection.execute("SELECT state, reason FROM title_status").fetchall()
    assert state == "waiting"
    assert "no encoder is named 'gone-text'" in reason


def test_settings_make_the_recorded_space_again(other: Workspace, workspace: Workspace) -> None:
    made = workspace_of(other, checkpoint_record(other.store, OLD))
    assert dict(made.producers) == dict(workspace.producers)
    assert (made.ledger, made.run, made.is_configured) == (other.ledger, other.run, False)


def test_agreement_looks_at_all_that_a_value_is_made_from() -> None:
    lite = load_profile("lite")
    other = lite.model_copy(update={"text": EncoderChoice(name="lite-text", settings={"width": 64})})
    first, second = (configured_producers(Config(), profile) for profile in (lite, other))
    assert [table for table in first if not agree(table, first, second)] == [
        "metadata_embeddings",
        "text_embeddings",
        "fused_embeddings",
    ]
    frames = configured_producers(Config.model_validate({"frames": {"frames_per_shot": 3}}), lite)
    assert not agree("video_embeddings", first, frames), "made from other frames"
    assert agree("audio_embeddings", first, frames)


@pytest.mark.parametrize("weights", [{}, {"text_weight": 0.5}])
def test_a_profile_is_read_back_from_producers_alone(workspace: Workspace, weights: dict[str, float]) -> None:
    config = Config.model_validate({**workspace.config.model_dump(), "fusion": weights or None})
    producers = configured_producers(config, workspace.profile)
    parts = recorded_settings(producers)
    again = Config.model_validate({**config.model_dump(), **{k: v for k, v in parts.items() if k != "profile"}})
    assert configured_producers(again, Profile.model_validate(parts["profile"])) == producers


@pytest.mark.parametrize(
    ("modality", "choice"),
    [
        (Modality.VIDEO, EncoderChoice(name="lite-video", settings={"colour_weight": 2.0})),
        (Modality.TEXT, EncoderChoice(name="lite-text", settings={"width": 64})),
        (Modality.AUDIO, EncoderChoice(name="fake-audio", settings={"width": 5})),
        (Modality.AUDIO, EncoderChoice(name="none")),
        (Modality.TEXT, EncoderChoice(name="imported", settings={"feature_set": "glove", "width": 300})),
    ],
)
def test_an_encoder_is_made_again_from_its_spec(modality: Modality, choice: EncoderChoice) -> None:
    with create_encoder(modality, choice) as encoder:
        spec = encoder.spec.as_json()
    with create_encoder(modality, choice_of(spec)) as encoder:
        assert encoder.spec.as_json() == spec


def test_a_spec_of_another_time_is_no_encoder_of_now() -> None:
    with create_encoder(Modality.TEXT, EncoderChoice(name="lite-text")) as encoder:
        spec = {**encoder.spec.as_json(), "step_version": 99}
    with pytest.raises(ConfigError, match="has another spec by now"):
        choice_of(spec)


def _fields(row: LedgerRecord) -> dict[str, Any]:
    return {name: getattr(row, name) for name in LedgerRecord.__dataclass_fields__}
