"""Whether a candidate may take the champion's place, by what both reach on labelled titles that trained neither.

Non-inferiority (as in trials of medicines; Piaggio et al., "Reporting of Noninferiority and Equivalence Randomized
Trials", JAMA 308, 2012): on each gated task the one-sided lower bound of (candidate - champion) must lie above minus a
margin. All tasks have to agree, so each is judged at the full level and no correction is due (the intersection-union
test; Berger, "Multiparameter Hypothesis Testing and Acceptance Sampling", Technometrics 24, 1982): where the candidate
truly is worse by the margin or more on any task, it passes with at most 1 - confidence.

A task is judged in this order (our choice):
1. *Undecidable* where nothing was measured, or on fewer test groups than the rules ask for: an interval over so few
   groups is not to be trusted, whatever it says.
2. *Inferior* where even the upper bound lies below minus the margin: wide or not, there is no doubt.
3. *Undecidable* where the half width exceeds the margin, even if the lower bound is high enough: a task that could not
   have told a difference of the margin has no voice.
4. *Undecidable* where neither beats chance: on a label that is noise all are alike, and a bad candidate would pass. A
   trial without such "assay sensitivity" shows nothing (ICH E10, "Choice of Control Group", 2000, section 1.5).
5. *Not inferior* where the lower bound lies above minus the margin, else *inferior*: not shown to be as good.

A wider interval about the same difference therefore never turns a refusal into a pass.

Legend: B bootstrap draws.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

from mediafm.config import GateSettings
from mediafm.probes.intervals import lower_bound
from mediafm.probes.vectors import Floats
from mediafm.types import Json

if TYPE_CHECKING:
    from mediafm.probes.measure import Measured

NOT_INFERIOR, INFERIOR, UNDECIDABLE = "not_inferior", "inferior", "undecidable"


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRules:
    """The rules in force.

    settings: the section `[gate]` of the configuration.
    test_share: the share of new groups of titles that falls into the test split, above 0 (`training.test_share`).
    """

    settings: GateSettings
    test_share: float

    def gates(self, task: str) -> bool:
        """Whether this task decides."""
        named = self.settings.tasks == "all" or task in self.settings.tasks
        return named and task not in self.settings.exclude

    def as_json(self) -> dict[str, Json]:
        return {**self.settings.model_dump(mode="json"), "test_share": self.test_share}


@dataclass(frozen=True, kw_only=True, slots=True)
class GateTask:
    """One measure of one gated task: candidate against champion on the same test groups, and what follows from it.

    task, measure: as the probe report has them.
    num_test_groups: labelled groups of titles of the test split that were measured.
    candidate, champion, difference: what each reaches, and candidate - champion; None where nothing was measured.
    lower_bound: the one-sided lower bound of the difference; None where there is no interval.
    half_width: difference - lower_bound.
    verdict: "not_inferior", "inferior" or "undecidable".
    reason: one sentence.
    num_groups_more: how many more labelled test groups would decide it, if they are like the present ones; None where
        it is decided, or where more would not help. An estimate: the half width shrinks as its formula has it.
    num_titles_more: in how many more labelled titles, each a group of its own, so many test groups are expected.
    """

    task: str
    measure: str
    num_test_groups: int
    candidate: float | None
    champion: float | None
    difference: float | None
    lower_bound: float | None
    half_width: float | None
    verdict: str
    reason: str
    num_groups_more: int | None = None
    num_titles_more: int | None = None

    @property
    def name(self) -> str:
        return f"{self.task} ({self.measure})" if self.measure else self.task

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> GateTask:
        """The inverse of `as_json`."""
        return cls(**parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What all gated tasks say together: the worst of their verdicts, each task's own, and one sentence."""

    verdict: str
    tasks: tuple[GateTask, ...]
    reason: str


def judge_task(
    task: str,
    measure: str,
    *,
    candidate: float,
    champion: float,
    replicates: Floats,
    num_test_groups: int,
    rules: GateRules,
    beats_chance: bool = True,
) -> GateTask:
    """One task's verdict.

    Args:
        candidate, champion: what each reaches on all test groups, in the task's measure (higher is better).
        replicates: float64 [B], candidate - champion on drawn test groups, paired; NaN where a draw has no measure.
        num_test_groups: labelled groups that could be drawn.
        beats_chance: whether one of the two is above chance, see `judge_measured`.
    """
    difference = candidate - champion
    if not isfinite(difference):
        return unmeasured(task, measure, "it could not be measured on the test groups", num_test_groups, rules)
    lower = lower_bound(difference, replicates, num_test_groups, rules.settings.confidence)
    half_width = None if lower is None else difference - lower
    verdict, reason = _verdict(difference, half_width, num_test_groups, beats_chance, rules)
    more = (_groups_more(half_width, num_test_groups, rules) or None) if verdict == UNDECIDABLE else None
    return GateTask(
        task=task,
        measure=measure,
        num_test_groups=num_test_groups,
        candidate=float(candidate),
        champion=float(champion),
        difference=float(difference),
        lower_bound=lower,
        half_width=half_width,
        verdict=verdict,
        reason=reason if more is None else f"{reason}; {_more_sentence(more, rules)}",
        num_groups_more=more,
        num_titles_more=None if more is None else _titles(more, rules),
    )


def judge_measured(
    task: str, measure: str, candidate: Measured, champion: Measured, num_test_groups: int, rules: GateRules
) -> GateTask:
    """One task's verdict on what `mediafm.probes.measure` found of both, on the same drawn groups.

    Whether one beats chance is asked of both, each with half of the error that the rules allow (Bonferroni).
    """
    confidence = (1 + rules.settings.confidence) / 2
    lowest = [
        (lower_bound(one.interval.value, one.replicates, num_test_groups, confidence), one.chance)
        for one in (candidate, champion)
    ]
    return judge_task(
        task,
        measure,
        candidate=candidate.interval.value,
        champion=champion.interval.value,
        replicates=candidate.replicates - champion.replicates,
        num_test_groups=num_test_groups,
        rules=rules,
        beats_chance=any(low is not None and low > chance for low, chance in lowest),
    )


def unmeasured(task: str, measure: str, reason: str, num_test_groups: int, rules: GateRules) -> GateTask:
    """A gated task without numbers: undecidable, for `reason`.

    Args:
        measure: "" where it is not even known.
        reason: a clause, such as "its clips come from 1 group of titles".
        num_test_groups: labelled test groups that it has all the same.
    """
    more = _groups_more(None, num_test_groups, rules) or None
    return GateTask(
        task=task,
        measure=measure,
        num_test_groups=num_test_groups,
        candidate=None,
        champion=None,
        difference=None,
        lower_bound=None,
        half_width=None,
        verdict=UNDECIDABLE,
        reason=f"undecidable: {reason}" + ("" if more is None else f"; {_more_sentence(more, rules)}"),
        num_groups_more=more,
        num_titles_more=None if more is None else _titles(more, rules),
    )


def judge(measured: Sequence[GateTask], rules: GateRules) -> Judgement:
    """What the gated tasks among `measured` say together.

    Inferior if any is, else undecidable if any is, or if there is none at all, else not inferior. A task that the rules
    name and nobody measured is undecidable: a mistyped name must not open the gate.
    """
    gated = [task for task in measured if rules.gates(task.task)]
    named = () if rules.settings.tasks == "all" else rules.settings.tasks
    known = {task.task for task in gated}
    absent = "the rules name this task, and no labels of it were measured"
    gated += [unmeasured(name, "", absent, 0, rules) for name in named if name not in known]
    for verdict in (INFERIOR, UNDECIDABLE):
        refusing = [task for task in gated if task.verdict == verdict]
        if refusing:
            return Judgement(verdict=verdict, tasks=tuple(gated), reason=_each_once(refusing))
    if not gated:
        reason = "undecidable: no labelled task compares the candidate with the champion"
        return Judgement(verdict=UNDECIDABLE, tasks=(), reason=reason)
    count = f"{len(gated)} measure{'s' if len(gated) > 1 else ''}"
    reason = f"not inferior on {count} of labelled test groups within a margin of {rules.settings.margin:g}"
    return Judgement(verdict=NOT_INFERIOR, tasks=tuple(gated), reason=reason)


def _each_once(tasks: Sequence[GateTask]) -> str:
    """Each reason behind the tasks that it holds for."""
    names: dict[str, list[str]] = {}
    for task in tasks:
        names.setdefault(task.reason, []).append(task.name)
    return "; ".join(f"{', '.join(of)}: {reason}" for reason, of in names.items())


def _verdict(
    difference: float, half_width: float | None, num_groups: int, beats_chance: bool, rules: GateRules
) -> tuple[str, str]:
    """The order is the module's."""
    margin, least = rules.settings.margin, rules.settings.min_test_groups
    if num_groups < least:
        return UNDECIDABLE, f"undecidable: {num_groups} labelled test groups of the {least} that it takes"
    if half_width is None:
        return UNDECIDABLE, "undecidable: hardly any draw of the test groups could be measured, so there is no interval"
    found = f"{difference:+.3f} with a lower bound of {difference - half_width:+.3f}"
    if difference + half_width < -margin:
        return INFERIOR, f"inferior: {difference:+.3f}, and even the upper bound lies below {-margin:+.3f}"
    if half_width > margin:
        return UNDECIDABLE, f"undecidable: {found}, a half width of {half_width:.3f} where {margin:.3f} is the most"
    if not beats_chance:
        return (
            UNDECIDABLE,
            "undecidable: neither is above chance on it; it tells no one apart (`exclude` leaves it out)",
        )
    if difference - half_width > -margin:
        return NOT_INFERIOR, f"not inferior: {found}, above {-margin:+.3f}"
    return INFERIOR, f"not shown to be as good: {found}, not above {-margin:+.3f}"


def _groups_more(half_width: float | None, num_groups: int, rules: GateRules) -> int:
    """Test groups that are lacking, at least as many as the rules ask for.

    The half width goes with t / sqrt(G - 1) for G groups, as `mediafm.probes.intervals` has it, t being Student's.
    """
    margin, least = rules.settings.margin, rules.settings.min_test_groups
    if half_width is None or half_width <= margin or num_groups < 2:
        return max(0, least - num_groups)
    from scipy.stats import t

    def shrunk(groups: int) -> float:
        return float(t.ppf(rules.settings.confidence, groups - 1) / (groups - 1) ** 0.5)

    wanted = shrunk(num_groups) * margin / half_width
    most = num_groups + ceil((num_groups - 1) * (half_width / margin) ** 2)  # t only shrinks: never more than this
    enough = range(num_groups, most + 1)
    needed = enough[bisect_left(enough, -wanted, key=lambda groups: -shrunk(groups))]
    return max(needed, least) - num_groups


def _titles(num_groups: int, rules: GateRules) -> int:
    return ceil(num_groups / rules.test_share)


def _more_sentence(num_groups: int, rules: GateRules) -> str:
    titles = f"about {_titles(num_groups, rules)} titles, as {rules.test_share:.0%} of new ones are for testing"
    return f"{num_groups} more labelled test groups would decide it: {titles}"
