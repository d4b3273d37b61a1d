"""What a `mediafm run` says at its end: one JSON object, and the same for people.

Belongs here: the summary of a finished run. Does not belong here: anything that looks into media or vectors.
"""

from typing import Any

from mediafm.types import TitleState
from mediafm_pipelines.catalog_run import CatalogRun
from mediafm_pipelines.materialize import TITLES_FAILED


def run_summary(run: CatalogRun) -> dict[str, Any]:
    """The titles of this run's catalogue by state, and the checkpoint that stands after it."""
    from mediafm.steps.contextual import champion_sha256
    from mediafm.steps.promotion import newest_checkpoint
    from mediafm.steps.rollout import rollout
    from mediafm.steps.summary import checkpoint_summary, title_notes, title_rows
    from mediafm.steps.training import plan_manifest
    from mediafm.steps.workspace import Workspace
    from mediafm.store.views import bought

    with Workspace.open(run.config) as work:
        rows = title_rows(work.store, run.title_ids)
        notes = title_notes(work.store, run.title_ids)
        sha256 = newest_checkpoint(work) or champion_sha256(work)
        checkpoint = checkpoint_summary(work, sha256) if sha256 else None
        reason = "" if checkpoint else plan_manifest(work).reason or "no checkpoint was trained"
        stands = rollout(work.store)
        num_tokens, cost_usd = bought(work.store, [result.run_id for result in run.results])
    by_state = {str(state): [row["title_id"] for row in rows if row["state"] == state] for state in TitleState}
    listed = {"ok": by_state["ok"], "quarantined": by_state["quarantined"], "failed": by_state["failed"]}
    return {
        "titles": listed,
        "waiting": by_state["waiting"],
        "reasons": {row["title_id"]: row["reason"] for row in rows if row["state"] != "ok"},
        "notes": notes,
        "shots": sum(row["shots"] or 0 for row in rows),
        "media_seconds": sum(row["duration_seconds"] or 0.0 for row in rows),
        "wall_seconds": run.wall_seconds,
        "tokens_bought": num_tokens,
        "cost_usd": cost_usd,
        "checkpoint": checkpoint,
        "rollout": stands.as_json() if stands else None,
        "reason": reason,
        "root": run.config.root_name,
        "dagster_runs": [result.run_id for result in run.results],
        "orphans": run.orphans,
        "problems": run.problems,
        "faults": run.faults,
    }


def _without_sentences(fault: str) -> str:
    """A step that failed for its titles' sake, without their sentences: each is said of its title."""
    head, found, _ = fault.partition(TITLES_FAILED)
    return head + TITLES_FAILED.rstrip(": ") if found else fault


def summary_text(summary: dict[str, Any]) -> str:
    """The summary for people."""
    titles = summary["titles"]
    lines = []
    left_out = {**titles, "waiting": summary["waiting"]}
    for state in ("quarantined", "failed", "waiting"):
        for title_id in left_out[state]:
            reason = summary["reasons"][title_id].removeprefix(f"{title_id}: ")
            lines.append(f"{state}: {title_id}: {reason}")
    lines += [f"note: {title_id}: {note}" for title_id, notes in summary["notes"].items() for note in notes]
    lines += [f"catalogue: {problem}" for problem in summary["problems"]]
    lines += [f"fault: {_without_sentences(fault)}" for fault in summary["faults"]]
    runs = len(summary["dagster_runs"])
    lines.append(
        f"{len(titles['ok'])} titles ok, {len(titles['quarantined'])} quarantined, {len(titles['failed'])} failed; "
        f"{summary['shots']} shots in {summary['media_seconds']:.0f} s of media"
    )
    lines.append(
        f"{summary['wall_seconds']:.1f} s of work"
        + (f" in {runs} Dagster runs" if runs else ": nothing was to be done")
    )
    if summary["tokens_bought"]:
        lines.append(f"{summary['tokens_bought']} tokens bought for ${summary['cost_usd']:.6f} (`mediafm cost`)")
    checkpoint = summary["checkpoint"]
    if checkpoint is None:
        lines.append(f"no checkpoint: {summary['reason']}")
    else:
        provisional = ", provisional" if checkpoint["provisional"] else ""
        lines.append(
            f"checkpoint {checkpoint['sha256'][:16]} (version {checkpoint['model_version']}{provisional}): "
            f"{checkpoint['skill_sentence']}"
        )
    if summary["rollout"] and summary["rollout"]["sentence"]:
        lines.append(summary["rollout"]["sentence"])
    lines.append(f"root: {summary['root']}")
    return "\n".join(lines)
