"""Steps that read a title's own media: one decoding child for all their titles, and none for a title without media."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mediafm.extract.reader import MediaReader
from mediafm.steps.present import PresentTitle
from mediafm.steps.step import TitleStep
from mediafm.steps.workspace import Workspace

WAITS_FOR_MEDIA = "it came without media: `mediafm import-embeddings` its file again under this profile"


class MediaStep(TitleStep):
    """Holds the reader while titles are made; a title that came with its vectors has nothing to be read."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @contextmanager
    def loaded(self) -> Iterator[None]:
        with MediaReader(self._workspace.config.limits, buckets=self._workspace.buckets) as self._reader:
            yield

    def waits_for(self, title: PresentTitle) -> str:
        return WAITS_FOR_MEDIA if title.is_imported else ""
