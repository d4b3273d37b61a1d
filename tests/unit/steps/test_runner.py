"""The runner: what is skipped, recorded, set aside, tried again, and made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mediafm.errors import TransientError, UnusableMediaError
from mediafm.lineage.fingerprint import Identity
from mediafm.steps.outcome import StepReport
from mediafm.steps.present import PresentTitle
from mediafm.steps.runner import RetrySettings, run_step
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.views import records
from mediafm.testing.stored_titles import facets_of, make, value_of
from mediafm.types import TitleState

AT_ONCE = RetrySettings(attempts=3, first_wait_seconds=0.0)
TABLE = "video_embeddings"


class FakeStep(TitleStep):
    """Writes made-up rows, after doing what the test wants done."""

    asset = TABLE
    tables = (TABLE,)

    def __init__(self, workspace: Workspace, before: Callable[[PresentTitle], None] = lambda title: None) -> None:
        self._workspace, self._before, self.asked = workspace, before, list[str]()

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        self.asked.append(title.title_id)
        self._before(title)
        rows = value_of(TABLE, title.title_id, facets_of(title.title_id))
        return [Made.of(self._workspace.store, identity, rows) for identity in missing]


def stored(workspace: Workspace, *title_ids: str, tables: Sequence[str] = ("titles", "spans", "frames")) -> None:
    for title_id in title_ids:
        make(workspace.store, workspace.ledger, title_id, tables, workspace.producers)
    workspace.ledger.flush()


def run(workspace: Workspace, step: FakeStep, *title_ids: str) -> StepReport:
    report = run_step(workspace, step, workspace.titles(title_ids), AT_ONCE)
    workspace.ledger.flush()
    return report


def fail_with(*errors: Exception) -> Callable[[PresentTitle], None]:
    """Raises each error once, in order; afterwards all is well."""
    waiting = list(errors)

    def before(title: PresentTitle) -> None:
        if waiting:
            raise waiting.pop(0)

    return before


def test_a_title_is_made_once_and_recorded(workspace: Workspace) -> None:
    stored(workspace, "a", "b")
    step = FakeStep(workspace)
    report = run(workspace, step, "a", "b")
    assert report.counts() == {"ok": 2}
    assert report.num_made == 2
    row = records(workspace.store, [TABLE], ["a"])[0]
    assert (row.state, row.num_rows, row.generation, row.details["num_present"]) == (TitleState.OK, 3, 1, 3)
    again = run(workspace, step, "a", "b")
    assert (again.num_made, step.asked) == (0, ["a", "b"])
    assert again.outcomes[0].rows == {TABLE: 3}
    assert len(records(workspace.store, [TABLE])) == 2


def test_a_quarantined_title_stops_no_other_and_is_not_tried_again(workspace: Workspace) -> None:
    stored(workspace, "a", "b")
    broken = UnusableMediaError("no picture", rule="a title has one", where="a")
    report = run(workspace, FakeStep(workspace, fail_with(broken)), "a", "b")
    assert [one.state for one in report.outcomes] == [TitleState.QUARANTINED, TitleState.OK]
    step = FakeStep(workspace)
    assert "no picture" in run(workspace, step, "a").outcomes[0].reason
    assert step.asked == []
    workspace.retries_quarantined = True
    assert run(workspace, step, "a").outcomes[0].state is TitleState.OK


def test_a_value_that_was_made_after_its_quarantine_is_made_again_when_it_is_lost(workspace: Workspace) -> None:
    stored(workspace, "a")
    run(workspace, FakeStep(workspace, fail_with(UnusableMediaError("odd", rule="", where="a"))), "a")
    workspace.retries_quarantined = True
    run(workspace, FakeStep(workspace), "a")
    workspace.retries_quarantined = False
    workspace.store.discard(records(workspace.store, [TABLE])[-1].object_key)
    assert run(workspace, FakeStep(workspace), "a").outcomes[0].was_made
    assert [row.generation for row in records(workspace.store, [TABLE])] == [1, 2, 3]


def test_what_passes_by_itself_is_tried_again(workspace: Workspace) -> None:
    stored(workspace, "a")
    step = FakeStep(workspace, fail_with(TransientError("busy", rule=""), MemoryError()))
    assert run(workspace, step, "a").outcomes[0].state is TitleState.OK
    assert step.asked == ["a"] * 3


def test_what_does_not_pass_fails_the_title_and_the_next_run_tries_again(workspace: Workspace) -> None:
    stored(workspace, "a")
    report = run(workspace, FakeStep(workspace, fail_with(*[TransientError("busy", rule="")] * 3)), "a")
    assert report.outcomes[0].state is TitleState.FAILED
    assert "did not pass in 3 attempts" in report.outcomes[0].reason
    assert run(workspace, FakeStep(workspace), "a").outcomes[0].state is TitleState.OK


def test_an_outage_costs_later_titles_one_attempt_each_until_one_works(workspace: Workspace) -> None:
    titles = ("a", "b", "c", "d", "e", "f", "g")
    stored(workspace, *titles)
    num_faults = AT_ONCE.patient_titles * AT_ONCE.attempts + 2  # a, b, c in full; d and e once; f works
    works_again = [TransientError("busy", rule="")] * num_faults
    seen: list[str] = []

    def before(title: PresentTitle) -> None:
        seen.append(title.title_id)
        if works_again:
            raise works_again.pop()
        if title.title_id == "g" and seen.count("g") < AT_ONCE.attempts:
            raise TransientError("busy", rule="")

    report = run(workspace, FakeStep(workspace, before), *titles)
    assert report.titles(TitleState.FAILED) == ["a", "b", "c", "d", "e"]
    assert report.titles(TitleState.OK) == ["f", "g"]
    assert [seen.count(title) for title in titles] == [3, 3, 3, 1, 1, 1, 3]


def test_a_fault_of_ours_fails_the_title_with_its_trace(workspace: Workspace) -> None:
    stored(workspace, "a", "b")
    report = run(workspace, FakeStep(workspace, fail_with(ZeroDivisionError("oops"))), "a", "b")
    assert report.counts() == {"failed": 1, "ok": 1}
    assert "a fault of the program" in report.outcomes[0].reason
    (row,) = records(workspace.store, [TABLE], ["a"])
    assert "fail_with" in str(row.details["trace"]) or "before" in str(row.details["trace"])


def test_a_title_without_its_inputs_waits(workspace: Workspace) -> None:
    stored(workspace, "a", tables=("titles", "spans"))
    outcome = run(workspace, FakeStep(workspace), "a").outcomes[0]
    assert (outcome.state, outcome.reason) == (TitleState.WAITING, "waits for frames")


def test_a_file_without_a_row_is_indexed(workspace: Workspace) -> None:
    stored(workspace, "a")
    (title,) = workspace.titles(["a"])
    identity = title.chain.identity(TABLE)
    workspace.store.write(identity, value_of(TABLE, "a", facets_of("a")))
    step = FakeStep(workspace)
    assert run(workspace, step, "a").outcomes[0].rows == {TABLE: 3}
    assert step.asked == []
    (row,) = records(workspace.store, [TABLE])
    assert (row.fingerprint, row.details["num_present"]) == (identity.fingerprint, 3)


def damage(workspace: Workspace, key: str) -> None:
    """Turns bytes inside the file; its footer, and so its header, stay whole."""
    path = workspace.store.root / key
    data = bytearray(path.read_bytes())
    data[4:12] = bytes(255 - byte for byte in data[4:12])
    path.unlink()
    path.write_bytes(data)


def test_a_damaged_input_is_found_before_it_is_read_and_removed(workspace: Workspace) -> None:
    stored(workspace, "a", "b")
    (title,) = workspace.titles(["a"])
    frames = title.chain.identity("frames")
    damage(workspace, workspace.store.key(frames))
    assert workspace.store.has(frames), "the header does not show it"
    report = run(workspace, FakeStep(workspace), "a", "b")
    assert report.counts() == {"failed": 1, "ok": 1}
    assert "the damaged file was removed" in report.outcomes[0].reason
    assert not workspace.store.has(frames)
    assert run(workspace, FakeStep(workspace), "a").outcomes[0].reason == "waits for frames"
    stored(workspace, "a", tables=("spans", "frames"))
    assert run(workspace, FakeStep(workspace), "a").outcomes[0].state is TitleState.OK


def test_a_forced_run_replaces_a_damaged_value(workspace: Workspace) -> None:
    stored(workspace, "a")
    run(workspace, FakeStep(workspace), "a")
    (row,) = records(workspace.store, [TABLE])
    damage(workspace, row.object_key)
    workspace.is_forced = True
    assert run(workspace, FakeStep(workspace), "a").outcomes[0].was_made
    workspace.store.verify_bytes(row.object_key, row.sha256, row.size_bytes)
    assert records(workspace.store, [TABLE])[-1].is_forced


def test_a_damaged_file_without_a_row_is_made_again(workspace: Workspace) -> None:
    """Nobody knows what its bytes were; that its rows cannot be read is seen all the same."""
    stored(workspace, "a")
    (title,) = workspace.titles(["a"])
    identity = title.chain.identity(TABLE)
    workspace.store.write(identity, value_of(TABLE, "a", facets_of("a")))
    damage(workspace, workspace.store.key(identity))
    assert workspace.store.has(identity)
    assert run(workspace, FakeStep(workspace), "a").outcomes[0].was_made
    assert workspace.store.read(identity).num_rows == 3


def test_a_sentence_names_its_title_once(workspace: Workspace) -> None:
    stored(workspace, "a", "b")
    errors = fail_with(UnusableMediaError("odd", rule="no", where="a"), UnusableMediaError("odd", rule="no", where="x"))
    report = run(workspace, FakeStep(workspace, errors), "a", "b")
    assert report.reasons([TitleState.QUARANTINED]) == ["a: odd; no.", "b: x: odd; no."]
