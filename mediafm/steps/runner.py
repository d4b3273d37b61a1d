"""How a step goes over titles: skip what is done, record what is made, set aside what is broken, go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from mediafm.errors import IntegrityError, MediaFMError, TransientError, UnusableMediaError
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.steps.history import StepHistory
from mediafm.steps.outcome import StepReport, TitleOutcome, format_trace
from mediafm.steps.present import PresentTitle
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.facts import LARGE_TABLES, facts_of
from mediafm.types import TitleState


@dataclass(frozen=True, kw_only=True)
class RetrySettings:
    """How a temporary fault is met (our choice)."""

    attempts: int = 3
    first_wait_seconds: float = 0.5
    factor: float = 4.0


def run_step(
    workspace: Workspace, step: TitleStep, titles: Sequence[PresentTitle], retries: RetrySettings = RetrySettings()
) -> StepReport:
    """Does `step` for each of `titles` that lacks its values; every title gets an outcome, whatever others do."""
    workspace.point_producers()
    parents = {parent for table in step.tables for parent in TABLES[table].parents}
    tables = sorted({*step.tables, *parents})
    history = StepHistory.of(workspace.store, tables, [title.title_id for title in titles])
    todo, outcomes = _sort_out(workspace, step, titles, history)
    if todo:
        workspace.progress.begin(step.asset, len(todo))
        try:
            with step.loaded():
                for title, missing in todo:
                    outcomes[title.title_id] = _one_title(workspace, step, title, missing, history, retries)
                    workspace.progress.advance(title.title_id)
        finally:
            workspace.progress.end()
    return StepReport(step.asset, tuple(outcomes[title.title_id] for title in titles))


def _sort_out(
    workspace: Workspace, step: TitleStep, titles: Sequence[PresentTitle], history: StepHistory
) -> tuple[list[tuple[PresentTitle, list[Identity]]], dict[str, TitleOutcome]]:
    """Which titles need work, and the outcomes of those that need none."""
    todo: list[tuple[PresentTitle, list[Identity]]] = []
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
        elif lacking := _lacking_inputs(workspace, step, title, missing):
            reason = f"waits for {', '.join(lacking)}"
            outcomes[title.title_id] = TitleOutcome(title_id=title.title_id, state=TitleState.WAITING, reason=reason)
        else:
            todo.append((title, missing))
    return todo, outcomes


def _lacking_inputs(
    workspace: Workspace, step: TitleStep, title: PresentTitle, missing: Sequence[Identity]
) -> list[str]:
    parents = {parent for one in missing for parent in TABLES[one.table].parents} - set(step.tables)
    return sorted(parent for parent in parents if not workspace.store.has(title.chain.identity(parent)))


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


def _damaged_inputs(
    workspace: Workspace, step: TitleStep, title: PresentTitle, missing: Sequence[Identity], history: StepHistory
) -> list[str]:
    """What is wrong with the stored values that the step would read; they are removed, and made again by a next run."""
    parents = {parent for one in missing for parent in TABLES[one.table].parents} - {one.table for one in missing}
    found = [_discard_damaged(workspace, title.chain.identity(parent), history) for parent in sorted(parents)]
    found.append(workspace.discard_if_damaged(title.object_key, title.sha256))
    return [sentence for sentence in found if sentence]


def _one_title(
    workspace: Workspace,
    step: TitleStep,
    title: PresentTitle,
    missing: Sequence[Identity],
    history: StepHistory,
    retries: RetrySettings,
) -> TitleOutcome:
    started = time.monotonic()
    try:
        if damaged := _damaged_inputs(workspace, step, title, missing, history):
            reason = f"{title.title_id}: {'; '.join(damaged)}. Run again: it is made anew."
            return _set_aside(workspace, title, missing, history, TitleState.FAILED, reason)
        made = _with_retries(step, title, missing, retries)
    except UnusableMediaError as error:
        return _set_aside(workspace, title, missing, history, TitleState.QUARANTINED, str(error))
    except MediaFMError as error:
        return _set_aside(workspace, title, missing, history, TitleState.FAILED, str(error))
    except Exception as error:  # noqa: BLE001 - the one place where a fault of ours becomes one title's failure
        reason = f"{title.title_id}: {type(error).__name__}: {error}; this is a fault of the program"
        return _set_aside(workspace, title, missing, history, TitleState.FAILED, reason, format_trace(error))
    seconds = time.monotonic() - started
    new = [one for one in made if one.identity in missing]
    for one in new:
        workspace.ledger.add(_record(workspace, title, one, seconds / len(new), history))
    return TitleOutcome(
        title_id=title.title_id,
        state=TitleState.OK,
        was_made=True,
        rows={one.identity.table: one.stored.num_rows for one in made},
        seconds=seconds,
    )


def _with_retries(
    step: TitleStep, title: PresentTitle, missing: Sequence[Identity], retries: RetrySettings
) -> list[Made]:
    wait_seconds = retries.first_wait_seconds
    for attempt in range(1, retries.attempts + 1):
        try:
            return step.make(title, missing)
        except (TransientError, MemoryError) as error:
            if attempt == retries.attempts:
                raise TransientError(
                    str(error) or type(error).__name__,
                    rule=f"it did not pass in {retries.attempts} attempts",
                    where=title.title_id,
                    remedy="Run again when the cause is gone.",
                ) from error
            time.sleep(wait_seconds)
            wait_seconds *= retries.factor
    raise AssertionError("unreachable")


def _set_aside(
    workspace: Workspace,
    title: PresentTitle,
    missing: Sequence[Identity],
    history: StepHistory,
    state: TitleState,
    reason: str,
    trace: str = "",
) -> TitleOutcome:
    for identity in missing:
        workspace.ledger.add(
            LedgerRecord.of(
                identity,
                state=state,
                reason=reason,
                generation=history.next_generation(identity),
                step_version=TABLES[identity.table].step_version,
                media_sha256=title.media_sha256,
                is_forced=workspace.is_forced,
                details={"decoder_version": history.decoder_version, "trace": trace},
            )
        )
    return TitleOutcome(title_id=title.title_id, state=state, reason=reason)


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
        details=made.details,
    )
