"""A labelled catalogue without media, written in seconds: to try probes and the gate, and to test them.

    python -m mediafm.testing.labelled_root FOLDER --titles 120 --seed 0

The titles are those of `mediafm.data.scenes`, and each walks a round of steps besides: one step a shot, the first one
drawn, told by most vectors. The round is the same in all titles, but no weighted mean of neighbours gives the next
step; so masked-shot training reaches skill above zero here within a few hundred steps.

Title k is the same whatever the number of titles, so `--first 120` continues a catalogue of 120. Each is a group of its
own, and a share of groups falls into the test split by hash: 19 of the first 120.

FOLDER/vectors.npz        a row a shot: title_id, group_id, position, start_seconds, end_seconds, video, audio, text
FOLDER/labels/TASK.jsonl  label files, one a task; `TASKS` says where each one's answer lies
FOLDER/mediafm.toml       the root beside it, the labels, the profile that `import-embeddings --write-profile` writes
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.data.scenes import SceneCatalog
from mediafm.data.scenes_settings import SceneSettings
from mediafm.errors import ConfigError
from mediafm.testing.labelled_tasks import STEPS, TASKS, LabelledTitle
from mediafm.types import Modality

VECTORS, LABELS, CONFIG, PROFILE = "vectors.npz", "labels", "mediafm.toml", "profile.toml"
MIN_SHOT_SECONDS, MAX_SHOT_SECONDS = 2.0, 6.0
STEP_STRENGTH = 1.2
"""Length of a step's code; that of what else a modality shows is 1."""
SHOT_TELLS_SHARE, MODALITY_TELLS_SHARE = 0.8, 0.8
"""Shots that tell their step at all, and in those the modalities that do."""
SETTINGS = SceneSettings(
    min_shots=40,
    max_shots=50,
    width=24,
    latent_dim=24,
    num_scene_types=4,
    num_roles=4,
    min_scenes=4,
    max_scenes=6,
    max_characters=4,
    cross_cut_share=0.5,
    max_run_shots=5,
    establishing_share=0.8,
    ambience_share=0.3,
    role_text_share=0.3,
    absent_shares=(0.0, 0.1, 0.3),
    cue=1.6,
    role=1.6,
    noise=0.8,
)
"""Few classes that every title has, told louder than by default, so that a dozen test groups tell checkpoints apart."""
CONFIG_TEXT = f"""root = "root"
profile = "{PROFILE}"
labels = ["{LABELS}"]

[training]
max_steps = 300

[gate]
exclude = [{", ".join(f'"{task.name}"' for task in TASKS if task.answer == "nowhere")}]
"""
"""Training is bounded, and what nothing can tell does not decide."""

Vectors = NDArray[np.float32]


def write_labelled_root(folder: Path, num_titles: int = 120, seed: int = 0, first: int = 0) -> None:
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
    catalog = SceneCatalog(SceneSettings.from_json({**SETTINGS.as_json(), "num_titles": num_titles, "seed": seed}))
    titles = [draw_labelled(catalog, number) for number in range(first, first + num_titles)]
    (folder / LABELS).mkdir(parents=True, exist_ok=True)
    np.savez(folder / VECTORS, **_columns(catalog, titles))
    for task in TASKS:
        rows = ({"title_id": title.title_id, **row} for title in titles for row in task.rows(title))
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / LABELS / f"{task.name}.jsonl").write_text(lines, "utf-8")
    (folder / CONFIG).write_text(CONFIG_TEXT, "utf-8")


def draw_labelled(catalog: SceneCatalog, number: int) -> LabelledTitle:
    """Title `number` of the catalogue."""
    drawn = catalog.draw(catalog.manifest_title(number))
    num_shots = drawn.sequence.num_shots
    rng = np.random.default_rng([catalog.settings.seed, number, *b"labelled"])
    seconds = rng.uniform(MIN_SHOT_SECONDS, MAX_SHOT_SECONDS, num_shots)
    tells_at_all = rng.random((num_shots, 1)) < SHOT_TELLS_SHARE
    return LabelledTitle(
        number=number,
        drawn=drawn,
        ends_seconds=np.asarray(np.cumsum(seconds).round(3), np.float64),
        step=(int(rng.integers(STEPS)) + np.arange(num_shots)) % STEPS,
        tells_step=tells_at_all & (rng.random((num_shots, len(Modality))) < MODALITY_TELLS_SHARE),
    )


def shot_vectors(catalog: SceneCatalog, title: LabelledTitle) -> dict[Modality, Vectors]:
    """What each modality shows of the shots: float32 [N, width]; absent ones are rows of zeros."""
    sequence = title.drawn.sequence
    vectors = {}
    for column, modality in enumerate(Modality):
        scene = np.asarray(sequence.fused[:, catalog.space.slices[modality]], np.float64)
        scene /= np.maximum(np.linalg.norm(scene, axis=1, keepdims=True), 1e-9)
        told = STEP_STRENGTH * _step_codes(catalog.settings, column)[title.step] * title.tells_step[:, [column]]
        vectors[modality] = ((scene + told) * sequence.is_present[:, [column]]).astype(np.float32)
    return vectors


def _step_codes(settings: SceneSettings, column: int) -> NDArray[np.float64]:
    """[STEPS, width], unit rows; the same for all titles."""
    rng = np.random.default_rng([settings.seed, column, *b"steps"])
    codes = rng.normal(size=(STEPS, settings.width))
    return np.asarray(codes / np.linalg.norm(codes, axis=1, keepdims=True))


def _columns(catalog: SceneCatalog, titles: list[LabelledTitle]) -> dict[str, Any]:
    """What the NPZ holds."""
    vectors: Mapping[str, list[Vectors]] = {str(modality): [] for modality in Modality}
    for title in titles:
        for modality, block in shot_vectors(catalog, title).items():
            vectors[str(modality)].append(block)
    counts = [title.num_shots for title in titles]
    return {
        "title_id": np.repeat([title.title_id for title in titles], counts),
        "group_id": np.repeat([title.drawn.title.group_id for title in titles], counts),
        "position": np.concatenate([np.arange(count) for count in counts]),
        "start_seconds": np.concatenate([title.starts_seconds for title in titles]),
        "end_seconds": np.concatenate([title.ends_seconds for title in titles]),
        **{name: np.concatenate(blocks) for name, blocks in vectors.items()},
    }


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
