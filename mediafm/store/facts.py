"""What a stored value says of itself: the counts that the ledger repeats, so that reports need not open files.

They follow from the rows alone: a ledger row written later, or rebuilt from the files, says the same.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mediafm.types import Json

LARGE_TABLES = ("frames",)
"""Tables whose files are never read whole; their number of rows says it all."""
FUSED_FLAGS = ("has_video", "has_audio", "has_text")


def facts_of(table: str, rows: pa.Table) -> dict[str, Json]:
    """Counts of a value of `table`; {} for a table whose number of rows says it all."""
    if table == "spans":
        ends = rows.column("end_seconds")
        starts = rows.column("start_seconds")
        if ends.null_count or starts.null_count:
            return {"num_shots": rows.num_rows}
        duration = ends[-1].as_py() - starts[0].as_py() if rows.num_rows else 0.0
        return {"num_shots": rows.num_rows, "duration_seconds": duration}
    if table == "words":
        return {"num_words": rows.num_rows, **_confidence(rows)}
    if table == "cues" and (num_asr := _num_asr(rows)):
        return {"num_asr": num_asr, **_confidence(rows)}
    if table == "metadata_embeddings":
        return {"is_present": bool(rows.column("is_present")[0].as_py()) if rows.num_rows else False}
    if table == "fused_embeddings":
        counts: dict[str, Json] = {flag.replace("has_", "num_"): _num_true(rows, flag) for flag in FUSED_FLAGS}
        num_vectors = rows.num_rows - rows.column("vector").null_count
        return {"num_shots": rows.num_rows, "num_vectors": num_vectors, **counts}
    if "is_present" in rows.column_names:
        return {"num_shots": rows.num_rows, "num_present": _num_true(rows, "is_present")}
    return {}


def _num_asr(rows: pa.Table) -> int:
    """Cues that a transcriber wrote."""
    return int(pc.sum(pc.equal(rows.column("source"), "asr")).as_py() or 0)


def _confidence(rows: pa.Table) -> dict[str, Json]:
    """The mean over the rows that have one."""
    mean = pc.mean(rows.column("confidence")).as_py()
    return {} if mean is None else {"mean_confidence": float(mean)}


def _num_true(rows: pa.Table, column: str) -> int:
    return int(pc.sum(rows.column(column)).as_py() or 0)
