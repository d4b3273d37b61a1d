"""What a root holds, in one look: titles and their states, the pointers, a checkpoint's skill."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from duckdb import DuckDBPyConnection

from mediafm.config import Config
from mediafm.steps.checkpoints import checkpoint_record, load_checkpoint
from mediafm.steps.existing import existing_store
from mediafm.steps.gate import skill_sentence
from mediafm.steps.rollout import rollout
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, SERVING, Pointers
from mediafm.store.store import Store
from mediafm.store.views import connect

_STATUS = """
SELECT title_id, state, reason, step, num_shots, duration_seconds, video_coverage, audio_coverage, text_coverage,
    text_source, text_confidence
FROM title_status ORDER BY title_id
"""


def title_rows(store: Store, title_ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Each title's state, reason, shots, duration and coverage."""
    with connect(store, title_ids, tables=()) as connection:
        return _title_rows(connection)


def _title_rows(connection: DuckDBPyConnection) -> list[dict[str, Any]]:
    rows = connection.execute(_STATUS).fetchall()
    return [
        {
            "title_id": title_id,
            "state": state,
            "reason": reason,
            "step": step,
            "shots": shots,
            "duration_seconds": seconds,
            "coverage": {"video": video, "audio": audio, "text": text},
            "text_source": source,
            "text_confidence": confidence,
        }
        for title_id, state, reason, step, shots, seconds, video, audio, text, source, confidence in rows
    ]


_NOTES = """
SELECT title_id, table_name, details FROM current
WHERE table_name IN ('titles', 'spans', 'words', 'cues', 'audio_embeddings')
    AND (json_array_length(details -> 'notes') > 0 OR json_array_length(details -> 'problems') > 0)
ORDER BY title_id, table_name
"""


def title_notes(store: Store, title_ids: Sequence[str] | None = None) -> dict[str, list[str]]:
    """What was odd about titles that are ok: files that end too early, pictures and sound that were damaged half-way,
    timed text that could not be read."""
    with connect(store, title_ids, tables=()) as connection:
        return _title_notes(connection)


def _title_notes(connection: DuckDBPyConnection) -> dict[str, list[str]]:
    rows = connection.execute(_NOTES).fetchall()
    notes: dict[str, list[str]] = {}
    for title_id, table, details in rows:
        found = json.loads(details)["problems" if table == "cues" else "notes"]
        notes[title_id] = list(dict.fromkeys([*notes.get(title_id, ()), *found]))
    return notes


def root_status(config: Config) -> dict[str, Any]:
    """Everything that `mediafm status` shows."""
    store = existing_store(config)
    with connect(store, tables=()) as connection:
        titles, notes = _title_rows(connection), _title_notes(connection)
    pointers = Pointers(store)
    stands = rollout(store)
    return {
        "root": config.root_name,
        "titles": titles,
        "states": dict(sorted(Counter(title["state"] for title in titles).items())),
        "notes": notes,
        "transcribed": _transcribed(titles),
        "champion": _pointer_json(pointers, CHAMPION),
        "serving": _pointer_json(pointers, SERVING),
        "rollout": stands.as_json() if stands else None,
    }


def _transcribed(titles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many titles' text a transcriber guessed, and how sure it was of them, each title alike."""
    confidences = [title["text_confidence"] for title in titles if title["text_source"] == "asr"]
    return {
        "num_titles": len(confidences),
        "num_captioned": sum(title["text_source"] == "timed_text" for title in titles),
        "mean_confidence": sum(confidences) / len(confidences) if confidences else None,
    }


def checkpoint_summary(workspace: Workspace, sha256: str) -> dict[str, Any]:
    """What a run says of its checkpoint: identity, MLflow's version, skill in total and by modality."""
    checkpoint = load_checkpoint(workspace, sha256)
    record = checkpoint_record(workspace.store, sha256)
    champion = workspace.pointers.read(CHAMPION)
    is_champion = champion is not None and champion.value["checkpoint_sha256"] == sha256
    report: Any = checkpoint.report
    skill = report["skill"]["random"]
    return {
        "sha256": sha256,
        "model_version": record.details.get("model_version"),
        "provisional": bool(champion.value["is_provisional"]) if champion is not None and is_champion else False,
        "skill": skill["skill"],
        "skill_interval": skill["interval"],
        "skill_sentence": skill_sentence(report),
        "skill_by_modality": {name: view["skill"] for name, view in skill["by_modality"].items()},
        "is_champion": is_champion,
    }


def _pointer_json(pointers: Pointers, name: str) -> dict[str, Any] | None:
    pointer = pointers.read(name)
    if pointer is None:
        return None
    sha256 = str(pointer.value["checkpoint_sha256"])
    provisional = " (provisional)" if pointer.value.get("is_provisional") else ""
    return {
        "checkpoint_sha256": sha256,
        "generation": pointer.generation,
        "reason": pointer.reason,
        "sentence": f"{sha256[:16]}{provisional}: {pointer.reason}",
    }
