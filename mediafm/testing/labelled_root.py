"""A labelled catalogue without media, written in seconds: to try probes and the gate, and to test them.

    python -m mediafm.testing.labelled_root FOLDER --titles 120 --seed 0

The titles are those of `mediafm.data.scenes`. Title k is the same whatever the number of titles, so `--first 120`
continues a catalogue of 120. A share of groups falls into the test split by hash; 120 titles, each a group of its own,
give about 18 test groups.

FOLDER/vectors.npz        a row a shot: title_id, group_id, position, start_seconds, end_seconds, video, audio, text
FOLDER/labels/TASK.jsonl  label files, one a task; `TASKS` says where each one's answer lies
FOLDER/mediafm.toml       the root beside it, the labels, the profile that `import-embeddings --write-profile` writes
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.data.scenes import SceneCatalog, SceneTitle
from mediafm.data.scenes_settings import SceneSettings
from mediafm.errors import ConfigError
from mediafm.types import Json, Modality

VECTORS, LABELS, CONFIG, PROFILE = "vectors.npz", "labels", "mediafm.toml", "profile.toml"
SHOTS_PER_CLIP = 5
"""Of the clips that speak of more than one shot; a title's last shots may be left over."""
CLOSE = 3
"""The size of a close shot."""
MIN_SHOT_SECONDS, MAX_SHOT_SECONDS = 2.0, 6.0
SETTINGS = SceneSettings(min_shots=30, max_shots=40, width=32, latent_dim=28)

Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledTitle:
    """A title and when its shots begin; ends_seconds [N], shot i begins where shot i - 1 ends."""

    drawn: SceneTitle
    ends_seconds: Times

    @property
    def title_id(self) -> str:
        return self.drawn.title.title_id

    @property
    def num_shots(self) -> int:
        return len(self.ends_seconds)

    @property
    def starts_seconds(self) -> Times:
        return np.concatenate([[0.0], self.ends_seconds[:-1]])


@dataclass(frozen=True, kw_only=True)
class LabelledTask:
    """One label file.

    kind: as `mediafm.probes.labels` names it.
    answer: where it lies: "own" vectors, "video" or "audio" alone, "context", or "nowhere".
    rows: what a title's rows say, but for the title and the task.
    """

    name: str
    kind: str
    answer: str
    rows: Callable[[LabelledTitle], Iterator[dict[str, Json]]]


def write_labelled_root(
    folder: Path, num_titles: int = 120, seed: int = 0, first: int = 0, settings: SceneSettings = SETTINGS
) -> None:
    """Writes vectors, labels and a configuration; the same arguments give the same files.

    Args:
        folder: is made; files of ours in it are replaced, others stay.
        num_titles: from number `first` on.

    Raises:
        ConfigError: no title, or a negative number.
    """
    if num_titles < 1 or first < 0 or seed < 0:
        raise ConfigError(
            f"{num_titles} titles from number {first}, seed {seed}",
            rule="there is at least one title, and numbers and seeds begin at 0",
        )
    catalog = SceneCatalog(SceneSettings.from_json({**settings.as_json(), "num_titles": num_titles, "seed": seed}))
    titles = [_with_times(catalog, number) for number in range(first, first + num_titles)]
    (folder / LABELS).mkdir(parents=True, exist_ok=True)
    np.savez(folder / VECTORS, **_columns(catalog, titles))
    for task in TASKS:
        rows = ({"title_id": title.title_id, **row} for title in titles for row in task.rows(title))
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / LABELS / f"{task.name}.jsonl").write_text(lines, "utf-8")
    (folder / CONFIG).write_text(f'root = "root"\nprofile = "{PROFILE}"\nlabels = ["{LABELS}"]\n', "utf-8")


def _with_times(catalog: SceneCatalog, number: int) -> LabelledTitle:
    drawn = catalog.draw(catalog.manifest_title(number))
    rng = np.random.default_rng([catalog.settings.seed, number, *b"times"])
    seconds = rng.uniform(MIN_SHOT_SECONDS, MAX_SHOT_SECONDS, drawn.sequence.num_shots)
    ends: Times = np.asarray(np.cumsum(seconds).round(3), np.float64)
    return LabelledTitle(drawn=drawn, ends_seconds=ends)


def _columns(catalog: SceneCatalog, titles: list[LabelledTitle]) -> dict[str, Any]:
    """What the NPZ holds; absent modalities are rows of zeros."""
    vectors: Mapping[str, list[NDArray[np.float32]]] = {str(modality): [] for modality in Modality}
    for title in titles:
        sequence = title.drawn.sequence
        for column, modality in enumerate(Modality):
            block = np.asarray(sequence.fused[:, catalog.space.slices[modality]], np.float32)
            vectors[str(modality)].append(block * sequence.is_present[:, [column]])
    counts = [title.num_shots for title in titles]
    return {
        "title_id": np.repeat([title.title_id for title in titles], counts),
        "group_id": np.repeat([title.drawn.title.group_id for title in titles], counts),
        "position": np.concatenate([np.arange(count) for count in counts]),
        "start_seconds": np.concatenate([title.starts_seconds for title in titles]),
        "end_seconds": np.concatenate([title.ends_seconds for title in titles]),
        **{name: np.concatenate(blocks) for name, blocks in vectors.items()},
    }


def _sizes(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    for index, size in enumerate(title.drawn.labels["own"].tolist()):
        yield {"shot_index": index, "label": f"size {size}"}


def _told_types(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    script = title.drawn.script
    is_present = dict(zip(Modality, script.is_present.T, strict=True))
    tells = (
        script.is_establishing & is_present[Modality.VIDEO]
        | script.is_ambience & ~script.is_music & is_present[Modality.AUDIO]
        | script.is_type_text
    )
    for index in np.flatnonzero(tells).tolist():
        yield {"shot_index": index, "label": f"type {title.drawn.labels['scene_type'][index]}"}


def _scene_types(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    for index, kind in enumerate(title.drawn.labels["scene_type"].tolist()):
        yield {"shot_index": index, "label": f"type {kind}"}


def _roles(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    for index, role in enumerate(title.drawn.labels["character_role"].tolist()):
        if role >= 0:
            yield {"shot_index": index, "label": f"role {role}"}


def _noise(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    for index, noise in enumerate(title.drawn.labels["noise"].tolist()):
        yield {"shot_index": index, "label": f"noise {noise}"}


def _after_wide(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    for index, (before, _) in enumerate(pairwise(title.drawn.labels["own"].tolist()), start=1):
        yield {"shot_index": index, "label": before == 0}


def _boundaries(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    is_boundary = title.drawn.labels["scene_boundary"]
    for index in range(title.num_shots - 1):
        yield {"shot_index": index, "next_shot_index": index + 1, "label": bool(is_boundary[index + 1])}


def _clips(title: LabelledTitle) -> Iterator[tuple[slice, dict[str, Json]]]:
    """Spans of `SHOTS_PER_CLIP` shots each."""
    for start in range(0, title.num_shots - SHOTS_PER_CLIP + 1, SHOTS_PER_CLIP):
        stop = start + SHOTS_PER_CLIP
        begins, ends = float(title.starts_seconds[start]), float(title.ends_seconds[stop - 1])
        yield slice(start, stop), {"start_seconds": begins, "end_seconds": ends}


def _closeness(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    """The share of a clip's time that is close: its vector is the mean of its shots by their seconds."""
    seconds = title.ends_seconds - title.starts_seconds
    is_close = title.drawn.labels["own"] == CLOSE
    for shots, span in _clips(title):
        share = float((seconds[shots] * is_close[shots]).sum() / seconds[shots].sum())
        yield {**span, "score": round(share, 4)}


def _people(title: LabelledTitle) -> Iterator[dict[str, Json]]:
    role = title.drawn.labels["character_role"]
    for shots, span in _clips(title):
        yield {**span, "labels": [f"role {each}" for each in np.unique(role[shots]).tolist() if each >= 0]}


TASKS: tuple[LabelledTask, ...] = (
    LabelledTask(name="shot_size", kind="single_label", answer="video", rows=_sizes),
    LabelledTask(name="told_type", kind="single_label", answer="own", rows=_told_types),
    LabelledTask(name="scene_type", kind="single_label", answer="context", rows=_scene_types),
    LabelledTask(name="character_role", kind="single_label", answer="context", rows=_roles),
    LabelledTask(name="after_wide", kind="binary", answer="context", rows=_after_wide),
    LabelledTask(name="scene_boundary", kind="pair", answer="context", rows=_boundaries),
    LabelledTask(name="clip_closeness", kind="score", answer="video", rows=_closeness),
    LabelledTask(name="clip_people", kind="multi_label", answer="context", rows=_people),
    LabelledTask(name="noise", kind="single_label", answer="nowhere", rows=_noise),
)


def main() -> None:
    """The command line."""
    import click

    @click.command(help=__doc__)
    @click.argument("folder", type=click.Path(path_type=Path))
    @click.option("--titles", default=120, show_default=True, help="How many.")
    @click.option("--first", default=0, show_default=True, help="Number of the first one.")
    @click.option("--seed", default=0, show_default=True)
    def command(folder: Path, titles: int, first: int, seed: int) -> None:
        write_labelled_root(folder, titles, seed, first)
        click.echo(
            f"{titles} titles in {folder / VECTORS}, {len(TASKS)} tasks in {folder / LABELS}; next, in {folder}:"
        )
        click.echo(f"  mediafm import-embeddings {VECTORS} --write-profile {PROFILE}\n  mediafm run")

    command()


if __name__ == "__main__":
    main()
