"""What became of each title, as SQL over the index that `mediafm.store.views` makes."""

from __future__ import annotations

STATUS_VIEW = """
WITH missing AS (
    SELECT n.title_id, arg_min(e.table_name, e.position) AS table_name, min(e.position) AS position
    FROM _newest n CROSS JOIN _expected e
    ANTI JOIN current c ON c.title_id = n.title_id AND c.table_name = e.table_name
    WHERE n.state = 'ok'
    GROUP BY n.title_id
),
setback AS (
    SELECT s.title_id, arg_min(s, e.position) AS row
    FROM _setbacks s JOIN _expected e ON e.table_name = s.table_name
    GROUP BY s.title_id
),
facts AS (
    SELECT
        title_id,
        max(num_rows) FILTER (table_name = 'spans') AS num_shots,
        max(TRY_CAST(details ->> 'duration_seconds' AS DOUBLE)) FILTER (table_name IN ('spans', 'titles'))
            AS duration_seconds,
        max(COVERAGE) FILTER (table_name = 'video_embeddings') AS video_coverage,
        max(COVERAGE) FILTER (table_name = 'audio_embeddings') AS audio_coverage,
        max(COVERAGE) FILTER (table_name = 'text_embeddings') AS text_coverage,
        max(CASE WHEN TRY_CAST(details ->> 'num_asr' AS BIGINT) > 0 THEN 'asr' WHEN num_rows > 0 THEN 'timed_text' END)
            FILTER (table_name = 'cues') AS text_source,
        max(TRY_CAST(details ->> 'mean_confidence' AS DOUBLE)) FILTER (table_name = 'cues') AS text_confidence
    FROM current
    GROUP BY title_id
)
SELECT
    n.title_id,
    CASE
        WHEN n.state <> 'ok' THEN n.state
        WHEN setback.row IS NOT NULL THEN setback.row.state
        WHEN missing.table_name IS NOT NULL THEN 'waiting'
        ELSE 'ok'
    END AS state,
    CASE
        WHEN n.state <> 'ok' THEN n.reason
        WHEN setback.row IS NOT NULL THEN setback.row.reason
        WHEN missing.table_name IS NOT NULL THEN missing.table_name || ' of the present inputs is still to be made'
        ELSE ''
    END AS reason,
    CASE
        WHEN n.state <> 'ok' THEN n.asset
        WHEN setback.row IS NOT NULL THEN setback.row.asset
        WHEN missing.table_name IS NOT NULL
            THEN (SELECT e.asset FROM _expected e WHERE e.table_name = missing.table_name)
        ELSE ''
    END AS step,
    facts.num_shots,
    facts.duration_seconds,
    facts.video_coverage,
    facts.audio_coverage,
    facts.text_coverage,
    facts.text_source,
    facts.text_confidence,
    n.media_sha256,
    n.generation
FROM _newest n
LEFT JOIN missing ON missing.title_id = n.title_id
LEFT JOIN setback ON setback.title_id = n.title_id
LEFT JOIN facts ON facts.title_id = n.title_id
ORDER BY n.title_id
""".replace("COVERAGE", "TRY_CAST(details ->> 'num_present' AS DOUBLE) / nullif(num_rows, 0)")
"""One row a title. Coverage is the share of shots whose modality is present, by `num_present` of the records' details.
`text_source` is what people wrote (`timed_text`), what a transcriber guessed (`asr`, with its mean confidence) or null.

A title whose raw record is not ok is what that record says; else what the first step that met a setback on its present
inputs says; else `waiting` if a value is still to be made; else ok.
"""
