"""What lies beside a checkpoint in the store for people: its model card and the pictures of its run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from mediafm.data.composition import compose
from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.encoders.registry import create_encoder
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, folder_key, read_folder
from mediafm.store.views import newest_rows
from mediafm.train.card import CARD_FILE, card_facts, model_card
from mediafm.train.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint
from mediafm.train.curves import CurvePoint
from mediafm.train.plots import CURVES_FILE, LAYERS_FILE, RATES_FILE, curves_png, layers_png, rates_png
from mediafm.types import Modality


def files_beside(
    workspace: Workspace,
    manifest: TrainingManifest,
    corpus: Corpus,
    checkpoint: Checkpoint,
    curves: Sequence[CurvePoint],
) -> dict[str, bytes]:
    """File name -> bytes: the card, the curves, the rates and the layer table of a run."""
    title = f"checkpoint {checkpoint.sha256[:12]}"
    best = min(curves, key=lambda point: point.validation_loss)
    facts = card_facts(
        checkpoint, compose(manifest, corpus, _seconds(workspace, manifest)), _licences(workspace), git_revision()
    )
    layers = layers_png(facts["report"]["layers"], f"{title}: vectors on validation titles, exported in bold")
    return {
        CARD_FILE: model_card(facts).encode(),
        CURVES_FILE: curves_png(curves, best.step, title),
        RATES_FILE: rates_png(curves, title),
        **({LAYERS_FILE: layers} if layers is not None else {}),
    }


def stored_files_beside(workspace: Workspace, sha256: str) -> dict[str, bytes]:
    """The same of a checkpoint of the store. Raises `NotFoundError`, `IntegrityError`."""
    files = read_folder(workspace.store, folder_key(CHECKPOINTS, sha256))
    return {name: data for name, data in files.items() if name not in (WEIGHTS_FILE, CONFIG_FILE)}


def git_revision() -> str:
    """The revision of the code that runs, "" where it is not a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _seconds(workspace: Workspace, manifest: TrainingManifest) -> dict[str, float]:
    """Title id -> its length, where the ledger has it; imported vectors come without media."""
    found = {}
    for row in newest_rows(workspace.store, "titles", sorted(manifest.by_id)):
        seconds = row.details.get("duration_seconds")
        if isinstance(seconds, int | float):
            found[row.title_id] = float(seconds)
    return found


def _licences(workspace: Workspace) -> dict[str, str]:
    """Modality -> licence of the profile's encoder; nothing is loaded."""
    found = {}
    for modality in Modality:
        with create_encoder(modality, workspace.profile.encoder(modality)) as encoder:
            found[str(modality)] = encoder.spec.licence
    return found
