"""Back to the checkpoint before: both pointers, at once; what it lacks is listed, and filled by the next run.

`champion` moves first, and its new value says what it was taken away from. Whoever is stopped between the two leaves a
root that knows that it is going back: the next `serve`, or the same rollback again, moves `serving` too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mediafm.errors import ConfigError, NotFoundError
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.decision import Decision
from mediafm.steps.mirror import mirror_alias, mirror_decision
from mediafm.steps.rollout import FILLS, ROLLED_BACK_FROM, producer_ids_of, reach_of
from mediafm.steps.say_titles import named
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, SERVING, Pointer
from mediafm.types import Json

ROLLED_BACK = "rolled_back"
"""The verdict of the decision that a rollback records about the checkpoint it takes down."""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """What a rollback did.

    from_sha256, to_sha256: who was champion, and who is.
    served_before: what readers got until now.
    reason: what happened, with the person's own words.
    lost: titles that readers had and have no more until they are filled.
    unfilled: titles without vectors by the checkpoint; `lost` are among them.
    """

    from_sha256: str
    to_sha256: str
    served_before: str | None
    reason: str
    lost: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()

    @property
    def was_moved(self) -> bool:
        return self.to_sha256 != self.from_sha256 or self.served_before != self.to_sha256

    @property
    def sentence(self) -> str:
        """For people."""
        fill = f"; {named(self.unfilled)} still to be filled: `{FILLS}`" if self.unfilled else "; every title is there"
        return f"{self.reason}{fill}"

    def as_json(self) -> dict[str, Json]:
        return {
            "from_sha256": self.from_sha256,
            "to_sha256": self.to_sha256,
            "served_before": self.served_before,
            "was_moved": self.was_moved,
            "reason": self.reason,
            "lost": list(self.lost),
            "unfilled": list(self.unfilled),
            "fills": FILLS if self.unfilled else None,
        }


def rollback(workspace: Workspace, to: str | None = None, given_reason: str = "") -> Rollback:
    """As `move_back`, and MLflow's aliases and tags say so too."""
    done, decision = move_back(workspace, to, given_reason)
    if decision is not None:
        mirror_decision(workspace, decision)
        mirror_alias(workspace, SERVING, done.to_sha256)
    return done


def move_back(workspace: Workspace, to: str | None = None, given_reason: str = "") -> tuple[Rollback, Decision | None]:
    """Returns `champion` and `serving` to the checkpoint before the present one. Nothing is embedded.

    While a roll-out is under way, the checkpoint before is the one that readers still get: the roll-out is called off.
    Else it is what readers got before; a second rollback goes one further back, and never forward again.

    Args:
        to: at least the first eight digits of any checkpoint that was champion or served before.
        given_reason: a person's own words, for those who read the record.

    Returns:
        What was done, and the decision about the checkpoint that was taken down (None if there was none to take).

    Raises:
        NotFoundError: there is no checkpoint before, or `to` names none that ever was approved.
        ConfigError: `to` names the champion that is being rolled out.
        ConflictError: a pointer was moved meanwhile.
    """
    target = target_of(workspace, to)
    champion, serving = (workspace.pointers.read(name) for name in (CHAMPION, SERVING))
    assert champion is not None  # `target_of` found a history
    served = _checkpoint(serving) if serving else None
    is_half_done = champion.value.get(ROLLED_BACK_FROM) == served
    before = str(served) if is_half_done else _checkpoint(champion)
    words = f": {given_reason.strip()}" if given_reason.strip() else ""
    done = Rollback(
        from_sha256=before,
        to_sha256=target,
        served_before=served,
        reason=f"rolled back from {before[:16]} to {target[:16]}{words}",
    )
    if not done.was_moved:
        return replace(done, reason=f"readers get {target[:16]} already"), None
    if _checkpoint(champion) != target:
        approved = [each for each in workspace.pointers.history(CHAMPION) if _checkpoint(each) == target][-1]
        value = {**approved.value, ROLLED_BACK_FROM: before}
        workspace.pointers.move(CHAMPION, champion.generation, value, done.reason)
    if served != target:
        places: dict[str, Json] = {
            "checkpoint_sha256": target,
            "producers": producer_ids_of(workspace.store, target),
            ROLLED_BACK_FROM: served,
        }
        workspace.pointers.move(SERVING, serving.generation if serving else 0, places, done.reason)
    reach = reach_of(workspace.store, target)
    held = reach_of(workspace.store, served).embedded if served else frozenset()
    done = replace(done, lost=tuple(sorted(held - reach.embedded)), unfilled=reach.unfilled)
    return done, _recorded(workspace, done, given_reason)


def target_of(workspace: Workspace, to: str | None = None) -> str:
    """The checkpoint that `rollback` would return to. Raises as `rollback` does, and changes nothing."""
    champions, served = (workspace.pointers.history(name) for name in (CHAMPION, SERVING))
    if to is not None:
        known = list(dict.fromkeys(map(_checkpoint, [*champions, *served])))
        matching = [sha256 for sha256 in known if len(to) >= MIN_DIGITS and sha256.startswith(to)]
        if len(matching) == 1:
            return _not_forward(matching[0], champions[-1], served)
        raise NotFoundError(
            f"{len(matching)} checkpoints {to[:16]!r} among those that were approved",
            rule=f"a rollback returns to one of {', '.join(one[:16] for one in known) or 'none yet'}",
            where=workspace.config.root_name,
            remedy='`mediafm promote --checkpoint SHA --reason "…"` approves any other.',
        )
    if champions and served:
        champion, present = champions[-1], _checkpoint(served[-1])
        if champion.value.get(ROLLED_BACK_FROM) == present:
            return _checkpoint(champion)
        if _checkpoint(champion) != present:
            return present
        if len(ways_back := way_back(served)) > 1:
            return ways_back[-2]
    raise NotFoundError(
        f"no checkpoint before {_checkpoint(served[-1])[:16]}" if served else "nothing was served yet",
        rule="a rollback returns to a checkpoint that readers got before",
        where=workspace.config.root_name,
        remedy="`mediafm status` names the champion and what readers get.",
    )


MIN_DIGITS = 8


def _not_forward(target: str, champion: Pointer, served: Sequence[Pointer]) -> str:
    """`target`, unless it is the champion that is being rolled out: to give readers that one is no way back."""
    present = _checkpoint(served[-1]) if served else None
    is_half_done = champion.value.get(ROLLED_BACK_FROM) == present
    if target == _checkpoint(champion) != present and not is_half_done:
        raise ConfigError(
            f"{target[:16]} is the champion, and readers do not get it yet",
            rule="a rollback returns to an earlier checkpoint",
            remedy="`mediafm run` ends its roll-out, `mediafm serve --allow-missing` moves readers now.",
        )
    return target


def way_back(history: Sequence[Pointer]) -> list[str]:
    """The checkpoints that a pointer came by, the present one last; a rollback takes its steps back out of it."""
    way: list[str] = []
    for pointer in history:
        sha256 = _checkpoint(pointer)
        if ROLLED_BACK_FROM in pointer.value and sha256 in way:
            way = way[: len(way) - way[::-1].index(sha256)]
        elif not way or way[-1] != sha256:
            way.append(sha256)
    return way


def _recorded(workspace: Workspace, done: Rollback, given_reason: str) -> Decision:
    """The decision about the checkpoint that was taken down, in the ledger: the gate will not promote it again."""
    champion = workspace.pointers.read(CHAMPION)
    decision = Decision(
        verdict=ROLLED_BACK,
        checkpoint_sha256=done.to_sha256,
        is_provisional=champion is not None and bool(champion.value.get("is_provisional")),
        reason=done.sentence,
        candidate_sha256=done.from_sha256,
        champion_before=done.from_sha256,
        given_reason=given_reason.strip(),
    )
    workspace.ledger.add(
        LedgerRecord(
            asset="champion",
            table="decisions",
            fingerprint=done.from_sha256,
            inputs={"checkpoint": done.from_sha256},
            checkpoint_sha256=done.from_sha256,
            details=decision.as_json(),
        )
    )
    return decision


def _checkpoint(pointer: Pointer) -> str:
    return str(pointer.value["checkpoint_sha256"])
