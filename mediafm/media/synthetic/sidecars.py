"""All of a sample but the media: sidecars, labels and truth, title by title in bounded memory."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from mediafm.media.synthetic.labels import TASKS, label_rows
from mediafm.media.synthetic.script import write_script
from mediafm.media.synthetic.settings import SampleSettings
from mediafm.media.synthetic.subtitles import write_timed_text
from mediafm.media.synthetic.truth import BOUNDARY_CONVENTION, title_metadata, title_truth
from mediafm.types import Json

TRUTH_NAME, LABELS_NAME, TASKS_NAME = "truth.json", "labels", "tasks.json"


def write_sidecars(directory: Path, num_titles: int, seed: int, settings: SampleSettings) -> dict[str, Json]:
    """Writes them for titles 0 to `num_titles` - 1; gives the title ids and the duration of all titles together."""
    labels = directory / LABELS_NAME
    labels.mkdir()
    write_json(labels / TASKS_NAME, [task.as_json() for task in TASKS])
    title_ids: list[str] = []
    num_frames = 0
    with ExitStack() as stack:
        rows = {task.name: stack.enter_context((labels / f"{task.name}.jsonl").open("w")) for task in TASKS}
        truth = stack.enter_context((directory / TRUTH_NAME).open("w"))
        truth.write(f'{{"convention": {json.dumps(BOUNDARY_CONVENTION)}, "titles": [')
        for index in range(num_titles):
            script = write_script(index, seed, settings)
            write_json(directory / f"{script.title_id}.json", title_metadata(script))
            for suffix in script.role.timed_text:
                (directory / (script.title_id + suffix)).write_text(write_timed_text(suffix, script.lines), "utf-8")
            for task in TASKS:
                rows[task.name].writelines(json.dumps(row) + "\n" for row in label_rows(task, script))
            truth.write((",\n" if index else "\n") + json.dumps(title_truth(script)))
            title_ids.append(script.title_id)
            num_frames += script.num_frames
        truth.write("\n]}\n")
    return {"title_ids": title_ids, "duration_seconds": round(num_frames / settings.frames_per_second, 6)}


def write_json(file: Path, value: Json) -> None:
    """JSON that a person can read."""
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
