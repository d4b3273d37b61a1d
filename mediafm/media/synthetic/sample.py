"""The door: `write_sample` makes a catalogue of real media files whose truth is known.

DIR/<title_id>.mp4 | .mkv        the titles, flat, with their sidecars <title_id>.json, .srt, .en.srt, .vtt, .ttml, .ass
DIR/truth/truth.json             fps, transitions, shots, scenes with latent variables
DIR/labels/<task>.jsonl          a row for each scene; labels/tasks.json says kind, classes and what they depend on
DIR/sample.json                  the marker: version, settings, seed, sizes of all files
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mediafm.errors import ConfigError, MediaFMError
from mediafm.media.synthetic.labels import TASKS, label_rows
from mediafm.media.synthetic.script import TitleScript, write_script
from mediafm.media.synthetic.settings import SAMPLE_VERSION, SampleSettings
from mediafm.media.synthetic.subtitles import write_timed_text
from mediafm.media.synthetic.truth import BOUNDARY_CONVENTION, title_metadata, title_truth
from mediafm.types import Json

MARKER_NAME = "sample.json"
Progress = Callable[[int, int], None]
"""Called with titles done and titles in all."""


@dataclass(frozen=True, kw_only=True)
class SampleCatalog:
    """A written sample. `is_new` is False where it stood there already and nothing was done."""

    directory: Path
    title_ids: tuple[str, ...]
    truth_path: Path
    label_paths: tuple[Path, ...]
    seconds: float
    is_new: bool


def write_sample(
    directory: Path,
    num_titles: int,
    seed: int,
    progress: Progress | None = None,
    *,
    settings: SampleSettings | None = None,
    num_workers: int | None = None,
) -> SampleCatalog:
    """Writes `num_titles` titles, their sidecars, truth and labels to `directory`, whole or not at all.

    The same seed and settings give the same titles, and the first titles do not depend on how many there are.

    Args:
        directory: absent, empty, or an identical sample, which is returned at once.
        num_workers: processes that draw; by default one for each CPU that this process may use.

    Raises:
        ConfigError: an impossible number, or the directory holds something else.
    """
    settings = settings or SampleSettings()
    if num_titles < 1 or seed < 0:
        raise ConfigError(
            f"{num_titles} titles of seed {seed}", rule="a sample has at least one title and a seed of at least 0"
        )
    directory = directory.absolute()
    wanted: dict[str, Json] = {
        "version": SAMPLE_VERSION,
        "num_titles": num_titles,
        "seed": seed,
        "settings": settings.as_json(),
    }
    is_new = not _is_standing(directory, wanted)
    scripts = [write_script(index, seed, settings) for index in range(num_titles)]
    if is_new:
        with _written_beside(directory) as partial:
            _write_titles(partial, num_titles, seed, settings, progress, num_workers or _num_cpus(num_titles))
            _write_texts(partial, scripts)
            sizes: dict[str, Json] = {
                str(file.relative_to(partial)): file.stat().st_size
                for file in sorted(partial.rglob("*"))
                if file.is_file()
            }
            _write_json(partial / MARKER_NAME, {**wanted, "files": sizes})
    return SampleCatalog(
        directory=directory,
        title_ids=tuple(script.title_id for script in scripts),
        truth_path=directory / "truth" / "truth.json",
        label_paths=tuple(directory / "labels" / f"{task.name}.jsonl" for task in TASKS),
        seconds=sum(script.num_frames for script in scripts) / settings.frames_per_second,
        is_new=is_new,
    )


def _is_standing(directory: Path, wanted: dict[str, Json]) -> bool:
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    marker = directory / MARKER_NAME
    found = json.loads(marker.read_text()) if marker.is_file() else {}
    sizes = found.pop("files", {})
    if found != wanted:
        different = sorted(key for key in wanted if found.get(key) != wanted[key])
        raise ConfigError(
            f"it holds a sample with another {', '.join(different)}" if found else "it holds other files",
            rule="a sample is written to a directory that is absent, empty or holds the same sample",
            where=str(directory),
            remedy="Name another directory, or delete this one.",
        )
    broken = [name for name, size in sizes.items() if not _has_size(directory / name, size)]
    if broken:
        raise ConfigError(
            f"{len(broken)} of its files are missing or changed, {broken[0]} first",
            rule="a sample stays as it was written",
            where=str(directory),
            remedy="Delete the directory and write the sample again.",
        )
    return True


def _has_size(file: Path, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size


@contextmanager
def _written_beside(directory: Path) -> Iterator[Path]:
    """A new directory beside `directory` that takes its place if all goes well and is gone otherwise."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".partial", dir=directory.parent))
    try:
        yield partial
        partial.chmod(0o755)
        os.replace(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_texts(directory: Path, scripts: list[TitleScript]) -> None:
    for script in scripts:
        _write_json(directory / f"{script.title_id}.json", title_metadata(script))
        for suffix in script.role.timed_text:
            (directory / (script.title_id + suffix)).write_text(write_timed_text(suffix, script.lines), "utf-8")
    (directory / "truth").mkdir()
    (directory / "labels").mkdir()
    truth = [title_truth(script) for script in scripts]
    _write_json(directory / "truth" / "truth.json", {"convention": BOUNDARY_CONVENTION, "titles": truth})
    _write_json(directory / "labels" / "tasks.json", [task.as_json() for task in TASKS])
    for task in TASKS:
        rows = [json.dumps(row) + "\n" for script in scripts for row in label_rows(task, script)]
        (directory / "labels" / f"{task.name}.jsonl").write_text("".join(rows), "utf-8")


def _write_json(file: Path, value: Json) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _write_titles(
    directory: Path,
    num_titles: int,
    seed: int,
    settings: SampleSettings,
    progress: Progress | None,
    num_workers: int,
) -> None:
    """Each thread owns one worker process and feeds it; the first error stops them all."""
    jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(num_titles):
        jobs.put(index)
    done: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
    request = {"seed": seed, "settings": settings.as_json(), "directory": str(directory)}
    with ThreadPoolExecutor(min(num_workers, num_titles)) as threads:
        for _ in range(min(num_workers, num_titles)):
            threads.submit(_feed_worker, jobs, done, request)
        try:
            for number in range(1, num_titles + 1):
                outcome = done.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                if progress is not None:
                    progress(number, num_titles)
        finally:
            while not jobs.empty():
                jobs.get()


def _feed_worker(
    jobs: queue.SimpleQueue[int], done: queue.SimpleQueue[int | BaseException], request: dict[str, Json]
) -> None:
    command = [sys.executable, "-m", "mediafm.media.synthetic.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        while True:
            try:
                index = jobs.get_nowait()
            except queue.Empty:
                return
            worker.stdin.write(json.dumps({**request, "index": index}) + "\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
            if not answer:
                done.put(MediaFMError(f"the program that draws title {index} ended", rule="it answers every job"))
                return
            parts = json.loads(answer)
            done.put(MediaFMError.from_dict(parts) if "error" in parts else index)


def _num_cpus(num_titles: int) -> int:
    return max(
        1, min(num_titles, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    )
