"""The door: `write_sample` makes a catalogue of real media files whose truth is known.

DIR/<title_id>.mp4 | .mkv        the titles, flat, with their sidecars <title_id>.json, .srt, .en.srt, .vtt, .ttml, .ass
DIR/truth.json                   fps, transitions, shots, scenes with latent variables
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
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mediafm.errors import ConfigError, MediaFMError
from mediafm.media.synthetic.labels import TASKS, label_rows
from mediafm.media.synthetic.script import TitleScript, write_script
from mediafm.media.synthetic.settings import SAMPLE_VERSION, SampleSettings
from mediafm.media.synthetic.subtitles import write_timed_text
from mediafm.media.synthetic.truth import BOUNDARY_CONVENTION, title_metadata, title_truth
from mediafm.types import Json

MARKER_NAME, TRUTH_NAME, LABELS_NAME = "sample.json", "truth.json", "labels"
Worker: TypeAlias = "subprocess.Popen[str]"
Progress: TypeAlias = Callable[[int, int], None]
"""Called with titles done and titles in all."""


@dataclass(frozen=True, kw_only=True)
class SampleCatalog:
    """A written sample. `is_new` is False where it stood there already and nothing was done."""

    directory: Path
    title_ids: tuple[str, ...]
    duration_seconds: float
    is_new: bool

    @property
    def truth_path(self) -> Path:
        return self.directory / TRUTH_NAME

    @property
    def labels_directory(self) -> Path:
        """One JSONL file for each task."""
        return self.directory / LABELS_NAME


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
            _write_titles(
                partial, num_titles, seed, settings, progress, min(num_titles, num_workers or _num_usable_cpus())
            )
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
        duration_seconds=sum(script.num_frames for script in scripts) / settings.frames_per_second,
        is_new=is_new,
    )


def _is_standing(directory: Path, wanted: dict[str, Json]) -> bool:
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    found = _read_marker(directory)
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


def _read_marker(directory: Path) -> dict[str, Any]:
    """What the sample says of itself; nothing where there is no marker."""
    marker = directory / MARKER_NAME
    if not marker.is_file():
        return {}
    try:
        found = json.loads(marker.read_bytes())
    except ValueError as error:
        raise ConfigError(
            f"{MARKER_NAME} cannot be read ({error})",
            rule="the marker of a sample is JSON",
            where=str(directory),
            remedy="Delete the directory and write the sample again.",
        ) from error
    return dict(found) if isinstance(found, dict) else {}


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
    (directory / LABELS_NAME).mkdir()
    truth = [title_truth(script) for script in scripts]
    _write_json(directory / TRUTH_NAME, {"convention": BOUNDARY_CONVENTION, "titles": truth})
    _write_json(directory / LABELS_NAME / "tasks.json", [task.as_json() for task in TASKS])
    for task in TASKS:
        rows = [json.dumps(row) + "\n" for script in scripts for row in label_rows(task, script)]
        (directory / LABELS_NAME / f"{task.name}.jsonl").write_text("".join(rows), "utf-8")


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
    """The titles side by side; the first error stops them all."""
    request: dict[str, Json] = {"seed": seed, "settings": settings.as_json(), "directory": str(directory)}
    with ExitStack() as stack:
        idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for _ in range(num_workers):
            idle.put(stack.enter_context(_started_worker()))
        threads = stack.enter_context(ThreadPoolExecutor(num_workers))
        titles = [threads.submit(_ask, idle, {**request, "index": index}) for index in range(num_titles)]
        try:
            for num_done, title in enumerate(as_completed(titles), start=1):
                title.result()
                if progress is not None:
                    progress(num_done, num_titles)
        finally:
            for title in titles:
                title.cancel()


def _ask(idle: queue.SimpleQueue[Worker], job: dict[str, Json]) -> None:
    """Has one title written by a worker that has nothing to do.

    Raises:
        MediaFMError: as the worker met it, or because the worker died.
    """
    worker = idle.get()
    try:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(job) + "\n")
        worker.stdin.flush()
        answer = worker.stdout.readline()
    except BrokenPipeError:
        answer = ""
    finally:
        idle.put(worker)
    if not answer:
        raise MediaFMError(
            "the process that draws it ended",
            rule="it draws title after title until it is told to stop",
            where=f"title {job['index']}",
            remedy="Look for its last words above; it may have been killed for want of memory.",
        )
    parts = json.loads(answer)
    if "error" in parts:
        raise MediaFMError.from_dict(parts)


@contextmanager
def _started_worker() -> Iterator[Worker]:
    """A process that draws titles; it ends with its standard input, and at once if something went wrong."""
    command = [sys.executable, "-m", "mediafm.media.synthetic.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        try:
            yield worker
        except BaseException:
            worker.terminate()
            raise


def _num_usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
