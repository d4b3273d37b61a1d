"""A decision about the champion: what it was, on which numbers, by which rules. As JSON, Markdown and MLflow's tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mediafm.lineage.fingerprint import canonical_json
from mediafm.probes.noninferiority import GateTask
from mediafm.types import Json

INSTALLED, PROMOTED, OVERRIDDEN = "installed", "promoted", "overridden"
REFUSED, UNDECIDABLE, UNCHANGED, NONE = "refused", "undecidable", "unchanged", "none"
MOVES = frozenset({INSTALLED, PROMOTED, OVERRIDDEN})
"""The verdicts by which the champion changes."""
_HEADING = (
    "task",
    "measure",
    "test groups",
    "candidate",
    "champion",
    "difference",
    "lower bound",
    "half width",
    "verdict",
    "titles more",
)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided about a candidate.

    verdict: "installed" (a first checkpoint, provisional), "promoted", "overridden" (a person's promotion), "refused",
        "undecidable" (the champion stays for want of labelled titles), "unchanged" (the candidate is the champion),
        "none" (there was no candidate), or what takes a champion down: "rolled_back".
    checkpoint_sha256: the champion afterwards; None if there is none.
    is_provisional: whether that champion is a first one that nothing was compared with.
    reason: why, in one or several clauses.
    candidate_sha256, champion_before: what was decided about, and who was champion until then.
    is_other_space: whether candidate and champion read different spaces, so that only probes compare them.
    skill: of the candidate, `{"skill", "interval"}`, on test groups.
    tasks: the gated tasks; empty where nothing was compared.
    rules: `GateRules.as_json()` of the time.
    test_set: which labels on which test groups the tasks were measured on; None where nothing was.
    times_used: how many comparisons of two checkpoints this test set has decided, this one included.
    given_reason: a person's own words, where a person decided.
    """

    verdict: str
    checkpoint_sha256: str | None
    is_provisional: bool
    reason: str
    candidate_sha256: str | None = None
    champion_before: str | None = None
    is_other_space: bool = False
    skill: Mapping[str, Json] | None = None
    tasks: tuple[GateTask, ...] = ()
    rules: Mapping[str, Json] = field(default_factory=dict)
    test_set: str | None = None
    times_used: int = 0
    given_reason: str = ""

    @property
    def has_moved(self) -> bool:
        """Whether the champion is another one now."""
        return self.verdict in MOVES

    def as_json(self) -> dict[str, Json]:
        """As the ledger keeps it; `from_json` reads it back."""
        return {
            "verdict": self.verdict,
            "checkpoint_sha256": self.checkpoint_sha256,
            "is_provisional": self.is_provisional,
            "reason": self.reason,
            "candidate_sha256": self.candidate_sha256,
            "champion_before": self.champion_before,
            "is_other_space": self.is_other_space,
            "skill": dict(self.skill) if self.skill is not None else None,
            "tasks": [task.as_json() for task in self.tasks],
            "rules": dict(self.rules),
            "test_set": self.test_set,
            "times_used": self.times_used,
            "given_reason": self.given_reason,
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Decision:
        """The inverse of `as_json`; what an older row does not say is as unknown as the fields' defaults."""
        return cls(**{**parts, "tasks": tuple(GateTask.from_json(task) for task in parts.get("tasks", ()))})

    def as_tags(self) -> dict[str, str]:
        """As MLflow's version tags, all of them each time: what an earlier decision left is replaced."""
        return {
            "gate.verdict": self.verdict,
            "gate.reason": self.reason,
            "gate.champion_before": self.champion_before or "none",
            "gate.tasks": canonical_json([task.as_json() for task in self.tasks]),
            "gate.rules": canonical_json(dict(self.rules)),
            "gate.test_set": self.test_set or "none",
            "gate.test_set_times_used": str(self.times_used),
            "gate.given_reason": self.given_reason,
        }

    def as_markdown(self) -> str:
        """For people: the verdict, a row for each task, the rules, and how worn the test set is."""
        lines = [f"**{self.verdict}**: {self.reason}"]
        if self.tasks:
            lines += ["", *_table(_HEADING, map(_cells, self.tasks)), "", self.used_sentence]
        if self.rules:
            lines += ["", rules_sentence(self.rules)]
        if self.is_other_space:
            lines += ["", "Candidate and champion read different spaces: probes alone compare them, skill does not."]
        champion = self.checkpoint_sha256[:16] if self.checkpoint_sha256 else "none"
        lines += ["", f"Champion: {champion}{' (provisional)' if self.is_provisional else ''}."]
        return "\n".join(lines) + "\n"

    @property
    def used_sentence(self) -> str:
        """How often the same test groups have spoken: a much used test set is one that is trained on, slowly."""
        times = "once" if self.times_used == 1 else f"{self.times_used} times"
        return f"This test set (labels and test groups) has compared two checkpoints {times}, this one included."


def rules_sentence(rules: Mapping[str, Any]) -> str:
    """The rules in force, one sentence."""
    tasks = "every labelled task" if rules["tasks"] == "all" else ", ".join(rules["tasks"])
    besides = f" but {', '.join(rules['exclude'])}" if rules["exclude"] else ""
    return (
        f"Rules: on {tasks}{besides} the one-sided {100 * rules['confidence']:g} % lower bound of candidate - champion "
        f"lies above {-rules['margin']:g}, over at least {rules['min_test_groups']} test groups, with a half width of "
        f"at most {rules['margin']:g}; and skill is above zero."
    )


def _cells(task: GateTask) -> list[str]:
    return [
        task.task,
        task.measure,
        str(task.num_test_groups),
        _number(task.candidate, ".3f"),
        _number(task.champion, ".3f"),
        _number(task.difference, "+.3f"),
        _number(task.lower_bound, "+.3f"),
        _number(task.half_width, ".3f"),
        task.verdict.replace("_", " "),
        "" if task.num_titles_more is None else str(task.num_titles_more),
    ]


def _number(value: float | None, style: str) -> str:
    return "" if value is None else format(value, style)


def _table(heading: Iterable[str], rows: Iterable[list[str]]) -> list[str]:
    """Markdown; what people wrote into label files cannot break out of its cell."""
    names = list(heading)
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |" for cells in lines]
