"""The program that writes titles: reads one JSON job a line, answers one JSON line each.

    python -m mediafm.media.synthetic.worker

A process of its own, not a pool's: drawing holds the interpreter's lock, and who calls `write_sample` need not be an
importable program. It ends when its standard input does, so none outlives the caller.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2

from mediafm.errors import MediaFMError, StoreError
from mediafm.media.synthetic.mux import write_media
from mediafm.media.synthetic.script import write_script
from mediafm.media.synthetic.settings import SampleSettings


def main() -> None:
    """Works until the end of the input. Pictures are computed on one thread: titles are what runs side by side."""
    cv2.setNumThreads(1)
    for request in sys.stdin:
        job = json.loads(request)
        try:
            script = write_script(job["index"], job["seed"], SampleSettings(**job["settings"]))
            write_media(Path(job["directory"]) / script.file_name, script)
            answer: Mapping[str, object] = {"index": job["index"]}
        except (MediaFMError, OSError) as error:
            answer = _known(error, f"title {job['index']}").as_dict()
        print(json.dumps(answer), flush=True)


def _known(error: MediaFMError | OSError, where: str) -> MediaFMError:
    if isinstance(error, MediaFMError):
        return error
    return StoreError(
        f"its file cannot be written ({error.strerror or error})",
        rule="the directory of a sample is there and has room",
        where=where,
        remedy="Look for disk space and permissions.",
    )


if __name__ == "__main__":
    main()
