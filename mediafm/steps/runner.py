"""How a step goes over titles: skip what is done, record what is made, set aside what is broken, go on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mediafm.errors import IntegrityError, MediaFMError, TransientError, UnusableMediaError
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.steps.history import StepHistory
from mediafm.steps.outcome import StepReport, TitleOutcome, format_trace
from mediafm.steps.present import PresentTitle
from mediafm.steps.step import Made, StreamResult, StreamStep, TitleStep, Work
from mediafm.steps.workspace import Workspace
from mediafm.store.facts import LARGE_TABLES, facts_of
from mediafm.types import TitleState


@dataclass(frozen=True, kw_only=True)
class RetrySettings:
    """How a temporary fault is met (our choice).

    patient_titles: after so many titles in a row that were given up, each further one is tried once, until one works:
        an outage does not cost every title of a catalogue its waits.
    """

    attempts: int = 3
    first_wait_seconds: float = 0.5
    factor: float = 4.0
    patient_titles: int = 3


@dataclass(slots=True)
class _Outage:
    """num_given_up: titles in a row for which a temporary fault did not pass."""

    num_given_up: int = 0


@dataclass(frozen=True)
class _Run:
    """One step over some titles."""

    workspace: Workspace
    step: TitleStep
    history: StepHistory
    retries: RetrySettings
    outage: _Outage = field(default_factory=_Outage)

    @property
    def num_attempts(self) -> int:
        """How often the next title is tried in all."""
        return 1 if self.outage.num_given_up >= self.retries.patient_titles else self.retries.attempts

    def refuse_damaged(self, work: Work) -> None:
        """Verifies the stored values that the step would read; damaged ones are removed, and made by a next run.

        Raises:
            IntegrityError: some were damaged.
        """
        title, tables = work.title, {one.table for one in work.missing}
        parents = _parents(work.missing) - tables
        found = [
            _discard_damaged(self.workspace, title.chain.identity(parent), self.history) for parent in sorted(parents)
        ]
        found.append(self.workspace.discard_if_damaged(title.object_key, title.sha256))
        if damaged := [sentence for sentence in found if sentence]:
            raise IntegrityError(
                "; ".join(damaged),
                rule="stored values are what the ledger says",
                where=title.title_id,
                remedy="Run again: it is made anew.",
            )


def run_step(
    workspace: Workspace, step: TitleStep, titles: Sequence[PresentTitle], retries: RetrySettings = RetrySettings()
) -> StepReport:
    """Does `step` for each of `titles` that lacks its values; every title gets an outcome, whatever others do."""
    workspace.point_producers()
    parents = {parent for table in step.tables for parent in TABLES[table].possible_parents}
    tables = sorted({*step.tables, *parents})
    history = StepHistory.of(workspace.store, tables, [title.title_id for title in titles])
    todo, outcomes = _sort_out(workspace, step, titles, history)
    if todo:
        workspace.progress.begin(step.asset, len(todo))
        try:
            with step.loaded():
                made = _streamed if isinstance(step, StreamStep) else _one_by_one
                for outcome in made(_Run(workspace, step, history, retries), todo):
                    outcomes[outcome.title_id] = outcome
                    workspace.progress.advance(outcome.title_id)
        finally:
            workspace.progress.end()
    return StepReport(step.asset, tuple(outcomes[title.title_id] for title in titles))


def _sort_out(
    workspace: Workspace, step: TitleStep, titles: Sequence[PresentTitle], history: StepHistory
) -> tuple[list[Work], dict[str, TitleOutcome]]:
    """Which titles need work, and the outcomes of those that need none."""
    todo: list[Work] = []
    outcomes: dict[str, TitleOutcome] = {}
    for title in titles:
        if title.state is not TitleState.OK:
            outcomes[title.title_id] = TitleOutcome(
                title_id=title.title_id, state=title.state, reason=title.reason or "its raw record is not ok"
            )
            continue
        identities = [title.chain.identity(table) for table in step.tables]
        if workspace.is_forced:
            for one in identities:
                _discard_damaged(workspace, one, history)
        missing = [one for one in identities if workspace.is_forced or not workspace.store.has(one)]
        missing += _index_found(workspace, title, [one for one in identities if one not in missing], history)
        quarantine = None if workspace.retries_quarantined else history.quarantine(missing)
        if not missing:
            rows = {one.table: history.num_rows(one) for one in identities}
            outcomes[title.title_id] = TitleOutcome(title_id=title.title_id, state=TitleState.OK, rows=rows)
        elif quarantine:
            outcomes[title.title_id] = TitleOutcome(
                title_id=title.title_id, state=TitleState.QUARANTINED, reason=quarantine
            )
        elif reason := _waits_for(workspace, step, title, missing):
            outcomes[title.title_id] = TitleOutcome(title_id=title.title_id, state=TitleState.WAITING, reason=reason)
        else:
            todo.append(Work(title, tuple(missing)))
    return todo, outcomes


def _waits_for(workspace: Workspace, step: TitleStep, title: PresentTitle, missing: Sequence[Identity]) -> str:
    """What the title lacks before the step can make it; "" if nothing."""
    parents = _parents(missing) - set(step.tables)
    lacking = sorted(parent for parent in parents if not workspace.store.has(title.chain.identity(parent)))
    return f"waits for {', '.join(lacking)}" if lacking else step.waits_for(title)


def _parents(identities: Sequence[Identity]) -> set[str]:
    """The tables that these values are made from; facets are no tables."""
    return {name for one in identities for name in one.inputs if name in TABLES}


def _index_found(
    workspace: Workspace, title: PresentTitle, found: Sequence[Identity], history: StepHistory
) -> list[Identity]:
    """Writes the ledger row of a file that a killed run left without one: the ledger is an index of the files.

    Returns:
        Values that nothing is known of and that cannot be read: they are removed, and made again.
    """
    unreadable = []
    for identity in found:
        if history.done(identity) is None:
            stored = workspace.store.describe(workspace.store.key(identity))
            is_large = identity.table in LARGE_TABLES
            try:
                facts = {} if is_large else facts_of(identity.table, workspace.store.read(identity))
            except IntegrityError:
                workspace.store.discard(stored.key)
                unreadable.append(identity)
                continue
            record = _record(workspace, title, Made(identity, stored, facts), 0.0, history)
            history.add(workspace.ledger.add(record))
    return unreadable


def _discard_damaged(workspace: Workspace, identity: Identity, history: StepHistory) -> str:
    row = history.done(identity)
    return workspace.discard_if_damaged(row.object_key, row.sha256) if row else ""


def _one_by_one(run: _Run, todo: Sequence[Work]) -> Iterator[TitleOutcome]:
    for work in todo:
        yield _one_title(run, work)


def _streamed(run: _Run, todo: Sequence[Work]) -> Iterator[TitleOutcome]:
    """Many titles at once. What may pass by itself, and whatever a failed batch held, is done again title by title."""
    assert isinstance(run.step, StreamStep)
    remaining, begun, again = deque(todo), dict[str, Work](), list[Work]()

    def offered() -> Iterator[Work]:
        while remaining:
            work = remaining.popleft()
            begun[work.title.title_id] = work
            yield work

    while remaining:
        started = time.monotonic()
        results = run.step.make_stream(offered(), run.refuse_damaged)
        while (result := _next_result(results, begun)) is not None:
            work = begun.pop(result.title_id)
            if isinstance(result.error, TransientError | MemoryError):
                again.append(work)
                continue
            now = time.monotonic()
            yield _concluded(run, work, result.made, result.error, now - started)
            started = now
        again += begun.values()
        begun.clear()
        while again:
            yield _one_title(run, again.pop(0))


def _next_result(results: Iterator[StreamResult], begun: Mapping[str, Work]) -> StreamResult | None:
    """The stream's next result; None at its end, also when a batch failed.

    A batch holds work of many titles: each title that was begun is then tried alone, where a fault is its own. If no
    title was begun, the fault is the step's, and is raised.
    """
    try:
        return next(results, None)
    except Exception:
        if not begun:
            raise
        return None


def _one_title(run: _Run, work: Work) -> TitleOutcome:
    started = time.monotonic()
    made: Sequence[Made] = ()
    error: Exception | None = None
    try:
        run.refuse_damaged(work)
        made = _with_retries(run, work)
    except Exception as fault:  # noqa: BLE001 - it becomes this title's outcome
        error = fault
    return _concluded(run, work, made, error, time.monotonic() - started)


def _concluded(run: _Run, work: Work, made: Sequence[Made], error: Exception | None, seconds: float) -> TitleOutcome:
    """Records what became of a title: the one place where an error becomes a state."""
    title_id = work.title.title_id
    if isinstance(error, UnusableMediaError):
        return _set_aside(run, work, TitleState.QUARANTINED, str(error))
    if isinstance(error, MediaFMError):
        return _set_aside(run, work, TitleState.FAILED, str(error))
    if error is not None:
        reason = f"{title_id}: {type(error).__name__}: {error}; this is a fault of the program"
        return _set_aside(run, work, TitleState.FAILED, reason, format_trace(error))
    run.outage.num_given_up = 0
    new = [one for one in made if one.identity in work.missing]
    for one in new:
        run.workspace.ledger.add(_record(run.workspace, work.title, one, seconds / len(new), run.history))
    return TitleOutcome(
        title_id=title_id,
        state=TitleState.OK,
        was_made=True,
        rows={one.identity.table: one.stored.num_rows for one in made},
        seconds=seconds,
        num_tokens=_tokens(made),
        cost_usd=sum(one.cost_usd for one in made),
    )


def _tokens(made: Sequence[Made]) -> int | None:
    """Tokens that were bought; None if nothing was for sale."""
    found = [int(str(one.details["num_tokens"])) for one in made if "num_tokens" in one.details]
    return sum(found) if found else None


def _with_retries(run: _Run, work: Work) -> list[Made]:
    wait_seconds, attempts = run.retries.first_wait_seconds, run.num_attempts
    for attempt in range(1, attempts + 1):
        try:
            return run.step.make(work.title, work.missing)
        except (TransientError, MemoryError) as error:
            if attempt == attempts:
                run.outage.num_given_up += 1
                raise TransientError(
                    str(error) or type(error).__name__,
                    rule=f"it did not pass in {attempts} attempt{'s' if attempts > 1 else ''}",
                    where=work.title.title_id,
                    remedy="Run again when the cause is gone.",
                ) from error
            time.sleep(wait_seconds)
            wait_seconds *= run.retries.factor
    raise AssertionError("unreachable")


def _set_aside(run: _Run, work: Work, state: TitleState, reason: str, trace: str = "") -> TitleOutcome:
    paid, cost_usd = run.step.paid_in_vain(work.title.title_id)
    for number, identity in enumerate(work.missing):
        run.workspace.ledger.add(
            LedgerRecord.of(
                identity,
                cost_usd=0.0 if number else cost_usd,
                state=state,
                reason=reason,
                generation=run.history.next_generation(identity),
                step_version=TABLES[identity.table].step_version,
                media_sha256=work.title.media_sha256,
                is_forced=run.workspace.is_forced,
                details={
                    "decoder_version": run.history.decoder_version,
                    "trace": trace,
                    **({} if number else paid),
                },
            )
        )
    num_tokens = int(str(paid["num_tokens"])) if paid else None
    return TitleOutcome(
        title_id=work.title.title_id, state=state, reason=reason, num_tokens=num_tokens, cost_usd=cost_usd
    )


def _record(
    workspace: Workspace, title: PresentTitle, made: Made, seconds: float, history: StepHistory
) -> LedgerRecord:
    checkpoint = str(made.identity.producer.get("checkpoint", ""))
    return LedgerRecord.of(
        made.identity,
        object_key=made.stored.key,
        sha256=made.stored.sha256,
        size_bytes=made.stored.size_bytes,
        num_rows=made.stored.num_rows,
        generation=history.next_generation(made.identity),
        step_version=TABLES[made.identity.table].step_version,
        seconds=seconds,
        checkpoint_sha256=checkpoint,
        media_sha256=title.media_sha256,
        is_forced=workspace.is_forced,
        cost_usd=made.cost_usd,
        details=made.details,
    )
