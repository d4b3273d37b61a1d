"""The probe report in words and tables: what context bought, then feature sets down and tasks across.

One table of the vectors as they are, one after PCA to each task's common width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mediafm.probes.context_bought import BEST_IS_FAVOURED, shortly
from mediafm.probes.report import ProbeDifference, ProbeReport, ProbeRow

MAX_DROPPED_IN_TEXT = 10
NOT_ABOVE_CHANCE = " †"
WITH_MODEL = " *"
INTERVALS = "Intervals: 95 %, over groups of titles."
LEGEND = "†: not above chance. *: a model stands behind the vectors."
NUM_HEADING_LINES = 4
"""Of a table: the tasks, their measures, their clips, and chance."""

Matrix = list[list[str]]


def markdown(report: ProbeReport) -> str:
    """The whole report, sentences first. What people wrote into label files cannot break out of its cell."""
    lines = _sentences(report)
    for heading, rows in _tables(report):
        lines += [f"**{heading}**", "", *_piped(_matrix(rows, _long_value)), ""]
    if report.differences:
        said = [["task", "measure", "difference", "value"], *map(_difference_cells, report.differences)]
        lines += [*_piped(said), ""]
    said_last = f"Bold: the best of a column. {LEGEND} {INTERVALS}"
    return "\n".join([*lines, said_last, *_left_out(report)]).strip() + "\n"


def short_markdown(report: ProbeReport, features: Sequence[str]) -> str:
    """A line for each task and measure: chance, and these feature sets as they are; "" where none was measured.

    Short enough to be seen at a glance where the whole report is a click away.
    """
    columns: dict[tuple[str, str], dict[str, ProbeRow]] = {}
    for row in report.rows:
        if row.pca_width is None and row.features in features:
            columns.setdefault((row.task, row.measure), {})[row.features] = row
    lines = [
        [*key, f"{next(iter(by_name.values())).chance:.2f}"]
        + [f"{by_name[name].value:.2f}" if name in by_name else "" for name in features]
        for key, by_name in columns.items()
    ]
    return "\n".join(_piped([["task", "measure", "chance", *features], *lines])) if lines else ""


def plain_text(report: ProbeReport, max_columns: int = 120) -> str:
    """The sentences and the tables for a terminal of so many columns; tasks that do not fit stand in further tables."""
    lines = _sentences(report)
    for heading, rows in _tables(report):
        for number, block in enumerate(_blocks(_matrix(rows, _short_value), max_columns)):
            lines += [heading if number == 0 else f"{heading} (continued)", *block, ""]
    return "\n".join([*lines, f"±: half of the 95 % interval. {LEGEND}", *_left_out(report)]).strip() + "\n"


def _sentences(report: ProbeReport) -> list[str]:
    said = [f"- {_flat(bought.sentence)}" for bought in report.context_bought if bought.pca_width is None]
    return [*said, "", BEST_IS_FAVOURED, ""] if said else []


def _tables(report: ProbeReport) -> Iterator[tuple[str, list[ProbeRow]]]:
    for heading, has_pca in (("As they are", False), ("After PCA to one width per task", True)):
        rows = [row for row in report.rows if (row.pca_width is not None) == has_pca]
        if rows:
            yield heading, rows


def _matrix(rows: Sequence[ProbeRow], say: Callable[[ProbeRow, bool], str]) -> Matrix:
    """`NUM_HEADING_LINES` lines about the tasks, then one per feature set."""
    columns: dict[tuple[str, str], dict[str, ProbeRow]] = {}
    for row in rows:
        columns.setdefault((row.task, row.measure), {})[row.features] = row
    firsts = [next(iter(by_name.values())) for by_name in columns.values()]
    best = [max(row.value for row in by_name.values()) for by_name in columns.values()]
    features = {row.features: row.is_baseline for row in rows}
    return [
        ["features", *(row.task for row in firsts)],
        ["measure", *(row.measure for row in firsts)],
        ["judged on", *map(_judged_on, firsts)],
        ["chance", *(f"{row.chance:.3f}" for row in firsts)],
        *(
            [
                name + ("" if is_baseline else WITH_MODEL),
                *(
                    say(by_name[name], by_name[name].value == most) if name in by_name else ""
                    for by_name, most in zip(columns.values(), best, strict=True)
                ),
            ]
            for name, is_baseline in features.items()
        ),
    ]


def _judged_on(row: ProbeRow) -> str:
    components = f", {row.pca_width} components" if row.pca_width is not None else ""
    return f"{row.num_clips} clips, {row.num_groups} groups{components}"


def _long_value(row: ProbeRow, is_best: bool) -> str:
    value = f"**{row.value:.3f}**" if is_best and row.is_above_chance else f"{row.value:.3f}"
    ends = "no interval" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
    choice = f", {shortly(row.choice)}" if row.choice else ""
    return f"{value} ({ends}){choice}{'' if row.is_above_chance else NOT_ABOVE_CHANCE}"


def _short_value(row: ProbeRow, _is_best: bool) -> str:
    # The ends are cut to what the measure can be: the longer half is the interval's own.
    half = "" if row.low is None or row.high is None else f" ±{max(row.high - row.value, row.value - row.low):.3f}"
    return f"{row.value:.3f}{half}{' ' * len(NOT_ABOVE_CHANCE) if row.is_above_chance else NOT_ABOVE_CHANCE}"


def _difference_cells(row: ProbeDifference) -> list[str]:
    ends = "no interval" if row.low is None or row.high is None else f"{row.low:+.3f} to {row.high:+.3f}"
    width = f" at {row.pca_width} components" if row.pca_width is not None else ""
    return [row.task, row.measure, f"{row.features} - {row.against}{width}", f"{row.value:+.3f} ({ends})"]


def _left_out(report: ProbeReport) -> list[str]:
    lines = [f"- not measured: {problem.where}: {problem.sentence}" for problem in report.not_measured]
    lines += [f"- dropped: {problem.where}: {problem.sentence}" for problem in report.dropped[:MAX_DROPPED_IN_TEXT]]
    if len(report.dropped) > MAX_DROPPED_IN_TEXT:
        lines.append(f"- and {len(report.dropped) - MAX_DROPPED_IN_TEXT} more dropped")
    return [_flat(line) for line in lines]


def _piped(matrix: Matrix) -> list[str]:
    """A Markdown table whose first line is its heading."""
    lines = [matrix[0], ["---"] * len(matrix[0]), *matrix[1:]]
    return ["| " + " | ".join(_flat(cell).replace("|", "\\|") for cell in cells) + " |" for cells in lines]


def _blocks(matrix: Matrix, max_columns: int) -> Iterator[list[str]]:
    """The matrix as aligned lines, cut between tasks where it is wider than the terminal; at least one task each."""
    widths = [max(len(_flat(line[place])) for line in matrix) for place in range(len(matrix[0]))]
    begin = 1
    while begin < len(widths):
        end = begin + 1
        while end < len(widths) and widths[0] + sum(width + 2 for width in widths[begin : end + 1]) <= max_columns:
            end += 1
        places = range(begin, end)
        lines = [
            "  ".join(
                [_flat(line[0]).ljust(widths[0]), *(_cell(line[place], widths[place]) for place in places)]
            ).rstrip()
            for line in matrix
        ]
        yield [*lines[:NUM_HEADING_LINES], "-" * max(map(len, lines)), *lines[NUM_HEADING_LINES:]]
        begin = end


def _cell(text: str, width: int) -> str:
    # Not `_flat`: the room of the dagger is kept, so that numbers stand under each other.
    return " ".join(text.splitlines()).rjust(width)


def _flat(text: str) -> str:
    return " ".join(text.split())
