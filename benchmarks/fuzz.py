"""Damaged files through the whole ingest: `python -m benchmarks.fuzz MEDIA_FOLDER --count 600`.

Real files under MEDIA_FOLDER are cut to clips, one of each make, and damaged (`mediafm.testing.mutations`); each
damaged title is taken in as `mediafm run` takes it in, up to fused vectors, a batch at a time beside a sound title. No
crash, no hang, nothing lost without a word: every case is judged (`benchmarks.fuzz_judge`), and the bad ones are named.
A name (ORIGINAL:KIND:INDEX) and the seed make the same damage again: `--only NAME`.

The exit code is 1 if a case is bad.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.fuzz_batches import Batch, run_batch
from benchmarks.fuzz_cases import Case, Maker, plan
from benchmarks.fuzz_judge import BAD, KINDS, Facts, Verdict, judge
from benchmarks.fuzz_originals import make_originals
from mediafm.cli.bars import progress_bar
from mediafm.progress import Progress

BATCH_SIZE = 40
CONTROL = "control"
"""The sound title that every batch has beside the damaged ones."""


@dataclass(kw_only=True)
class Report:
    """What a run found.

    verdicts: by case, in order.
    left_out: cases that were not reached.
    """

    seed: int
    verdicts: dict[Case, Verdict] = field(default_factory=dict)
    seconds: dict[Case, float] = field(default_factory=dict)
    left_out: int = 0
    wall_seconds: float = 0.0

    @property
    def bad(self) -> dict[Case, Verdict]:
        return {case: verdict for case, verdict in self.verdicts.items() if verdict.kind in BAD}

    def as_json(self) -> dict[str, Any]:
        slowest = max(self.seconds, key=lambda case: self.seconds[case], default=None)
        return {
            "seed": self.seed,
            "cases": len(self.verdicts),
            "left_out": self.left_out,
            "wall_seconds": round(self.wall_seconds, 1),
            "counts": _counts(self.verdicts.values()),
            "by_kind": self.grouped("kind"),
            "by_original": self.grouped("original"),
            "slowest": {"case": slowest.name, "seconds": round(self.seconds[slowest], 1)} if slowest else None,
            "bad": {case.name: verdict.as_json() for case, verdict in self.bad.items()},
            "verdicts": {case.name: verdict.as_json() for case, verdict in self.verdicts.items()},
        }

    def grouped(self, by: str) -> dict[str, dict[str, int]]:
        """How many cases of each kind of damage, or of each original, came to what."""
        groups: dict[str, list[Verdict]] = {}
        for case, verdict in self.verdicts.items():
            groups.setdefault(getattr(case, by), []).append(verdict)
        return {name: _counts(groups[name]) for name in sorted(groups)}


def _counts(verdicts: Any) -> dict[str, int]:
    counts = Counter(verdict.kind for verdict in verdicts)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def fuzz(
    media: Path, cases: Sequence[Case] | int, seed: int, max_seconds: float, progress: Progress, folder: Path
) -> Report:
    """Runs cases, or as many as are asked for, until all are done, the time is over or somebody interrupts.

    Args:
        media: a folder of real files.
        folder: where the clips are made; stays.
    """
    began, report = time.monotonic(), Report(seed=seed)
    originals = make_originals(media, folder)
    maker = Maker(originals=originals, seed=seed)
    todo = plan(originals, cases) if isinstance(cases, int) else list(cases)
    sound = _sound(maker, {case.original for case in todo})
    progress.begin("damaged titles", len(todo))
    try:
        for start in range(0, len(todo), BATCH_SIZE):
            if time.monotonic() - began >= max_seconds:
                break
            for case, verdict, seconds in _judged(maker, todo[start : start + BATCH_SIZE], sound):
                report.verdicts[case], report.seconds[case] = verdict, seconds
                progress.advance(case.name)
                if verdict.kind in BAD:
                    click.echo(f"{verdict.kind}: {case.name}: {verdict.why}", err=True)
    except KeyboardInterrupt:
        click.echo("interrupted: what is known so far", err=True)
    progress.end()
    report.left_out, report.wall_seconds = len(todo) - len(report.verdicts), time.monotonic() - began
    return report


def _sound(maker: Maker, names: set[str]) -> dict[str, Facts]:
    """What the originals that are damaged give as they are, and the control."""
    titles = {name: f"sound{number}" for number, name in enumerate(sorted(names))}

    def write(catalog: Path) -> None:
        maker.write_control(catalog, CONTROL)
        for name, title in titles.items():
            maker.write_sound(name, catalog, title)

    batch = run_batch(write)
    if batch.end:
        raise click.ClickException(f"sound files are not taken in: {batch.end}")
    return {CONTROL: batch.facts[CONTROL], **{name: batch.facts[title] for name, title in titles.items()}}


def _judged(maker: Maker, cases: Sequence[Case], sound: dict[str, Facts]) -> Iterator[tuple[Case, Verdict, float]]:
    """Each case's verdict. A batch that does not come to its end is taken apart: each case then runs alone."""
    titles = {case: f"case{number:02d}" for number, case in enumerate(cases)}

    def write(catalog: Path) -> None:
        maker.write_control(catalog, CONTROL)
        for case, title in titles.items():
            maker.write(case, catalog, title)

    batch = run_batch(write)
    if batch.end and len(cases) > 1:
        for case in cases:
            yield from _judged(maker, [case], sound)
        return
    for case, title in titles.items():
        yield case, _verdict(batch, title, sound, case), batch.seconds.get(title, 0.0)


def _verdict(batch: Batch, title: str, sound: dict[str, Facts], case: Case) -> Verdict:
    if batch.end:
        return Verdict(kind="hang" if batch.end.startswith("hang") else "crash", why=batch.end)
    if title not in batch.facts:
        return Verdict(kind="empty", why="nothing is known of the title")
    if batch.facts[CONTROL] != sound[CONTROL]:
        return Verdict(kind="crash", why="the sound title of its batch came out otherwise than alone")
    return judge(batch.facts[title], sound[case.original])


def show(report: Report, console: Console) -> None:
    """Tables for people, and the bad cases with what makes them again."""
    for title, by in (("damage", "kind"), ("file", "original")):
        table = Table(title, *KINDS)
        for name, counts in report.grouped(by).items():
            table.add_row(name, *(str(counts.get(kind, "")) for kind in KINDS))
        table.add_row("all", *(str(_counts(report.verdicts.values()).get(kind, "")) for kind in KINDS))
        console.print(table)
    for case, verdict in report.bad.items():
        console.print(f"{verdict.kind}: --seed {report.seed} --only '{case.name}'\n  {verdict.why}", highlight=False)
    rest = f", {report.left_out} more were not reached" if report.left_out else ""
    console.print(f"{len(report.verdicts)} damaged titles in {report.wall_seconds:.0f} s, {len(report.bad)} bad{rest}")


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("media", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", default=600, show_default=True, help="How many damaged titles.")
@click.option("--seed", default=0, show_default=True)
@click.option("--max-seconds", default=1200.0, show_default=True, help="No batch begins later.")
@click.option("--only", multiple=True, help="Only this case, by its name; may be given several times.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object on stdout, nothing else there.")
def main(media: Path, count: int, seed: int, max_seconds: float, only: Sequence[str], is_json: bool) -> None:
    cases = [Case.parse(name) for name in only] or count
    with tempfile.TemporaryDirectory(prefix="mediafm-fuzz-clips-") as folder, progress_bar(quiet=is_json) as progress:
        report = fuzz(media, cases, seed, max_seconds, progress, Path(folder))
    if is_json:
        click.echo(json.dumps(report.as_json()))
    else:
        show(report, Console(width=None if sys.stdout.isatty() else 120))
        for case, verdict in report.verdicts.items() if only else ():
            click.echo(f"{case.name}: {verdict.kind}: {verdict.why}")
    sys.exit(1 if report.bad else 0)


if __name__ == "__main__":
    main()
