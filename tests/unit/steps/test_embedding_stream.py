"""Encoders over many titles: batches cross titles, one title's fault is its own, an encoder is loaded once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm.config import EncoderChoice
from mediafm.encoders.encoder import Encoded, Encoder, EncoderSpec, Usage
from mediafm.encoders.registry import REGISTRY, Registration
from mediafm.errors import EncoderError, TransientError, UnusableMediaError
from mediafm.steps import embedding_stream, encoders
from mediafm.steps.embedding_stream import Item
from mediafm.steps.embeddings import MetadataEmbeddingsStep, TextEmbeddingsStep
from mediafm.steps.encoders import free_encoders
from mediafm.steps.outcome import StepReport
from mediafm.steps.present import PresentTitle
from mediafm.steps.runner import RetrySettings, run_step
from mediafm.steps.shots import ShotsStep
from mediafm.steps.step import Work
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import arrow_to_vectors
from mediafm.store.views import connect, records
from mediafm.testing.stored_titles import make
from mediafm.types import Modality, TitleState

TABLE = "text_embeddings"
AT_ONCE = RetrySettings(attempts=2, first_wait_seconds=0.0)
TITLES = ("a", "b", "c", "d")


class CountingText(Encoder[str]):
    """[length of the text, 0, 0, 0]; notes its batches, and fails as the test wants.

    forgets: what was bought is bought again.
    faults_of: by the text that a batch holds.
    """

    batches: list[list[str]] = []
    faults: list[Exception] = []
    loaded: list[int] = []
    closed: list[int] = []
    batch_size = 8
    forgets = True
    faults_of: dict[str, list[Exception]] = {}

    def __init__(self) -> None:
        self.spec = EncoderSpec(name="fake-text", modality=Modality.TEXT, width=4, step_version=1)
        self.known: set[Any] = set()
        self.batch_items = self.batch_size

    def _encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(batch))
        self.loaded += [id(self)] if id(self) not in self.loaded else []
        if any("poison" in text for text in batch):
            raise EncoderError("a text that cannot be encoded", rule="texts are well", where="counting")
        for text in batch:
            if self.faults_of.get(text):
                raise self.faults_of[text].pop()
        if self.faults:
            raise self.faults.pop(0)
        return np.array([[len(text), 1, 0, 0] for text in batch], np.float32)

    def encode_stream(self, items: Any) -> Iterator[Encoded[Any]]:
        for encoded in super().encode_stream(items):
            is_known = encoded.key in self.known and not self.forgets
            self.known.add(encoded.key)
            usage = Usage(num_cached=1) if is_known else Usage(num_tokens=3, cost_usd=0.5, num_bought=1)
            yield Encoded(encoded.key, encoded.vector, usage)

    def close(self) -> None:
        self.closed += [id(self)] if id(self) in self.loaded else []


class Step(TextEmbeddingsStep):
    """Reads made-up texts instead of cues."""

    texts: dict[str, list[tuple[int, str]]] = {}
    errors: dict[str, Exception] = {}

    def items(self, title: PresentTitle) -> Iterator[Item]:
        yield from self.texts.get(title.title_id, [(0, f"text of {title.title_id}"), (2, "more")])
        if title.title_id in self.errors:
            raise self.errors[title.title_id]


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    registration = Registration.of(Modality.TEXT, lambda modality, settings, host: CountingText())
    monkeypatch.setitem(REGISTRY, "fake-text", registration)  # type: ignore[arg-type]
    CountingText.batches, CountingText.faults = [], []
    CountingText.batch_size, CountingText.forgets, CountingText.faults_of = 8, True, {}
    Step.texts, Step.errors = {}, {}
    free_encoders()
    CountingText.loaded, CountingText.closed = [], []
    yield
    free_encoders()


@pytest.fixture
def titles(workspace: Workspace) -> list[PresentTitle]:
    for title_id in TITLES:
        make(workspace.store, workspace.ledger, title_id, ("titles", "spans", "cues"), workspace.producers)
    workspace.ledger.flush()
    return workspace.titles(TITLES)


def run(workspace: Workspace, titles: Sequence[PresentTitle]) -> StepReport:
    report = run_step(workspace, Step(workspace), titles, AT_ONCE)
    workspace.ledger.flush()
    return report


def vectors(workspace: Workspace, title: PresentTitle) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    table = workspace.store.read(title.chain.identity(TABLE))
    return arrow_to_vectors(table.column("vector"))


def brings_text(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile says that text vectors are imported."""
    imported = EncoderChoice(name="imported", settings={"feature_set": "x", "width": 4})
    monkeypatch.setattr(workspace, "profile", workspace.profile.model_copy(update={"text": imported}))


def test_one_batch_holds_texts_of_many_titles(workspace: Workspace, titles: list[PresentTitle]) -> None:
    report = run(workspace, titles)
    assert report.counts() == {"ok": 4}
    assert [len(batch) for batch in CountingText.batches] == [8]
    for title in titles:
        found, is_present = vectors(workspace, title)
        assert is_present.tolist() == [True, False, True]
        assert found[:, 0].tolist() == [len(f"text of {title.title_id}"), 0, 4]


def test_what_was_paid_stands_in_each_titles_row(workspace: Workspace, titles: list[PresentTitle]) -> None:
    report = run(workspace, titles)
    assert (report.num_tokens, report.cost_usd) == (24, 4.0)
    again = run(workspace, titles)
    assert (again.num_tokens, again.cost_usd) == (None, 0.0)
    (row,) = records(workspace.store, [TABLE], ["b"])
    assert (row.cost_usd, row.details["num_tokens"], row.details["num_bought"]) == (1.0, 6, 2)


def test_a_title_without_items_is_done_all_the_same(workspace: Workspace, titles: list[PresentTitle]) -> None:
    Step.texts = {title_id: [] for title_id in TITLES}
    assert run(workspace, titles).counts() == {"ok": 4}
    assert CountingText.batches == []
    assert not vectors(workspace, titles[0])[1].any()


def test_titles_without_items_wait_for_no_other(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue without captions has its results as it goes, not all at its end."""
    monkeypatch.setattr(embedding_stream, "MAX_READY", 3)
    names = [f"mute-{number:02d}" for number in range(30)]
    for title_id in names:
        make(workspace.store, workspace.ledger, title_id, ("titles", "spans", "cues"), workspace.producers)
    workspace.ledger.flush()
    Step.texts = {title_id: [] for title_id in names if title_id != "mute-20"}
    num_read = 0

    def offered() -> Iterator[Work]:
        nonlocal num_read
        for title in workspace.titles(names):
            num_read += 1
            yield Work(title, (title.chain.identity(TABLE),))

    results = Step(workspace).make_stream(offered())
    first = next(results)
    assert num_read < len(names)
    found = [first, *results]
    assert sorted(result.title_id for result in found) == names
    assert all(result.error is None for result in found)


def test_a_title_that_cannot_be_read_stops_no_other(workspace: Workspace, titles: list[PresentTitle]) -> None:
    Step.errors = {
        "b": UnusableMediaError("broken", rule="files are whole", where="b"),
        "c": ZeroDivisionError("oops"),
    }
    report = run(workspace, titles)
    states = {outcome.title_id: outcome.state for outcome in report.outcomes}
    assert states == {
        "a": TitleState.OK,
        "b": TitleState.QUARANTINED,
        "c": TitleState.FAILED,
        "d": TitleState.OK,
    }
    assert "broken" in report.outcomes[1].reason
    assert "a fault of the program" in report.outcomes[2].reason


def test_what_passes_by_itself_is_tried_again_alone(workspace: Workspace, titles: list[PresentTitle]) -> None:
    CountingText.faults = [TransientError("busy", rule="")]
    assert run(workspace, titles).counts() == {"ok": 4}
    assert [len(batch) for batch in CountingText.batches] == [8, 2, 2, 2, 2]


def test_a_failed_batch_costs_only_the_title_at_fault(workspace: Workspace, titles: list[PresentTitle]) -> None:
    Step.texts = {"c": [(0, "poison")]}
    report = run(workspace, titles)
    assert report.titles(TitleState.FAILED) == ["c"]
    assert report.titles(TitleState.OK) == ["a", "b", "d"]
    assert "a text that cannot be encoded" in report.outcomes[2].reason


def test_what_was_paid_before_a_fault_stands_in_the_titles_row(
    workspace: Workspace, titles: list[PresentTitle]
) -> None:
    """What was bought is known when the title is tried again, and costs nothing then."""
    Step.texts = {"a": [(0, "first"), (2, "second")]}
    CountingText.batch_size, CountingText.forgets = 1, False
    CountingText.faults_of = {"second": [TransientError("busy", rule="")]}
    assert run(workspace, titles[:1]).counts() == {"ok": 1}
    (row,) = records(workspace.store, [TABLE], ["a"])
    assert (row.cost_usd, row.details["num_tokens"], row.details["num_bought"]) == (1.0, 6, 2)
    assert row.details["num_cached"] == 1


def test_what_was_paid_for_a_title_that_fails_is_recorded_all_the_same(
    workspace: Workspace, titles: list[PresentTitle]
) -> None:
    Step.texts = {"a": [(0, "first"), (2, "poison")]}
    CountingText.batch_size, CountingText.forgets = 1, False
    report = run(workspace, titles[:1])
    assert (report.counts(), report.num_tokens, report.cost_usd) == ({"failed": 1}, 3, 0.5)
    with connect(workspace.store) as connection:
        (paid,) = connection.execute("SELECT title_id, num_tokens, num_bought, cost_usd FROM costs").fetchall()
    assert paid == ("a", 3, 1, 0.5)


def test_a_damaged_input_is_found_before_it_is_read(workspace: Workspace, titles: list[PresentTitle]) -> None:
    path = workspace.store.root / workspace.store.key(titles[1].chain.identity("cues"))
    data = bytearray(path.read_bytes())
    data[4:12] = bytes(255 - byte for byte in data[4:12])
    path.unlink()
    path.write_bytes(data)
    report = run(workspace, titles)
    assert report.titles(TitleState.FAILED) == ["b"]
    assert "the damaged file was removed" in report.outcomes[1].reason
    assert "Run again" in report.outcomes[1].reason


def test_an_encoder_is_loaded_once_for_all_runs_of_a_process(workspace: Workspace, titles: list[PresentTitle]) -> None:
    run(workspace, titles[:2])
    run(workspace, titles[2:])
    assert len(CountingText.loaded) == 1
    assert CountingText.closed == []
    free_encoders()
    assert CountingText.closed == CountingText.loaded


def test_only_so_many_encoders_stay_loaded(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MAX_LOADED", 2)
    first = encoders.borrow_encoder(workspace, Modality.TEXT)
    first.encode(["loads it"])
    assert encoders.borrow_encoder(workspace, Modality.TEXT) is first
    for modality in (Modality.VIDEO, Modality.AUDIO):
        encoders.borrow_encoder(workspace, modality)
    assert CountingText.closed == [id(first)]
    assert encoders.borrow_encoder(workspace, Modality.TEXT) is not first


def test_a_modality_whose_vectors_are_imported_is_waited_for(
    workspace: Workspace, titles: list[PresentTitle], monkeypatch: pytest.MonkeyPatch
) -> None:
    brings_text(workspace, monkeypatch)
    report = run(workspace, titles[:1])
    assert report.outcomes[0].state is TitleState.WAITING
    assert "mediafm import-embeddings FILE --modality text" in report.outcomes[0].reason


def test_no_thread_is_left_behind_when_the_encoder_fails(workspace: Workspace, titles: list[PresentTitle]) -> None:
    CountingText.faults = [EncoderError("no", rule="never")] * 99
    assert run(workspace, titles).counts() == {"failed": 4}
    assert not [thread for thread in threading.enumerate() if thread.name == "mediafm-prefetch"]


def test_metadata_is_absent_where_text_is_imported(
    workspace: Workspace, titles: list[PresentTitle], monkeypatch: pytest.MonkeyPatch
) -> None:
    brings_text(workspace, monkeypatch)
    report = run_step(workspace, MetadataEmbeddingsStep(workspace), titles[:1], AT_ONCE)
    assert report.counts() == {"ok": 1}
    table = workspace.store.read(titles[0].chain.identity("metadata_embeddings"))
    assert table.column("is_present").to_pylist() == [False]


def test_what_a_title_without_media_was_given_is_waited_for(
    workspace: Workspace, titles: list[PresentTitle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PresentTitle, "is_imported", property(lambda title: True))
    report = run_step(workspace, ShotsStep(workspace), titles[:1], AT_ONCE)
    assert report.outcomes[0].state is TitleState.WAITING
    assert "`mediafm import-embeddings` its file again under this profile" in report.outcomes[0].reason
