"""Which catalogues and label files a root was given, and which titles they list now.

The pointer `inputs` remembers them, so that the UI can take up what `mediafm run` began.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mediafm.catalog.scan import scan_catalog
from mediafm.catalog.title import Catalog, CatalogTitle, Problem
from mediafm.errors import CatalogError
from mediafm.probes.label_files import label_paths, raw_rows
from mediafm.steps.workspace import Workspace
from mediafm.store.tombstones import deny_list
from mediafm.types import Json, TitleState

INPUTS = "inputs"


def remember_inputs(workspace: Workspace, catalogs: Sequence[str], labels: Sequence[str] = ()) -> None:
    """Adds catalogues and label files to those that the root knows, the given ones first.

    First, because of one id in two catalogues the first is taken: whoever copies a catalogue elsewhere and runs the
    copy means the copy.
    """
    value: dict[str, Json] = {
        "catalogs": list(dict.fromkeys([*map(_absolute, catalogs), *known_catalogs(workspace)])),
        "labels": list(dict.fromkeys([*map(_absolute, labels), *map(str, known_labels(workspace))])),
    }
    workspace.pointers.ensure(INPUTS, value, "catalogues and label files given to a run")


def known_catalogs(workspace: Workspace) -> list[str]:
    """Every catalogue that this root was given, the last one first."""
    return _known(workspace, "catalogs", [workspace.config.catalog] if workspace.config.catalog else [])


def known_labels(workspace: Workspace) -> list[Path]:
    """Every label file that this root was given."""
    return [Path(item) for item in _known(workspace, "labels", workspace.config.labels)]


def usable_labels(workspace: Workspace) -> tuple[list[Path], list[Problem]]:
    """Of the label files that the root was given: those that can be read, and what is wrong with the others."""
    usable: list[Path] = []
    problems: list[Problem] = []
    for path in known_labels(workspace):
        try:
            for file in label_paths([path]):
                for _ in raw_rows(file):
                    pass
        except CatalogError as error:
            problems.append(Problem(str(path), f"the labels are left out: {error.seen}; {error.rule}"))
        else:
            usable.append(path)
    return usable, problems


def scan_known(workspace: Workspace) -> Catalog:
    """All titles that the root's catalogues list now. Of one id in two catalogues the first is taken.

    A catalogue that is gone is a problem, not an error: its titles are reported as vanished.
    """
    titles: dict[str, CatalogTitle] = {}
    problems: list[Problem] = []
    for location in known_catalogs(workspace):
        try:
            found = scan_catalog(location, workspace.config.limits, workspace.buckets)
        except CatalogError as error:
            problems.append(Problem(location, str(error)))
            continue
        problems += found.problems
        for title in found.titles:
            first = titles.setdefault(title.title_id, title)
            if first is not title and first.uri != title.uri:
                problems.append(Problem(title.uri, f"its id {title.title_id} is taken by {first.uri}"))
    return without_forgotten(workspace, Catalog(tuple(titles.values()), tuple(problems)))


def without_forgotten(workspace: Workspace, catalog: Catalog) -> Catalog:
    """What a catalogue lists, without the titles that were forgotten: each is told as a problem.

    The same media under another name is found when its file is opened (`mediafm.steps.titles`).
    """
    denied = deny_list(workspace.store)
    refused = [title for title in catalog.titles if denied.by_title(title.title_id) is not None]
    if not refused:
        return catalog
    kept = tuple(title for title in catalog.titles if title not in refused)
    told = [Problem(title.uri, f"{title.title_id} was forgotten and is left out") for title in refused]
    return Catalog(kept, (*catalog.problems, *told))


def imported_titles(workspace: Workspace, besides: Sequence[str] = ()) -> list[str]:
    """The ids of titles without media, which no catalogue lists, but for those in `besides`."""
    left_out = set(besides)
    return [
        title.title_id
        for title in workspace.all_titles()
        if title.is_imported and title.state is TitleState.OK and title.title_id not in left_out
    ]


def listed_titles(workspace: Workspace, title_ids: Sequence[str]) -> tuple[list[CatalogTitle], list[str]]:
    """Of `title_ids`: what the catalogues say of those that they list, and the ids that none lists (any more)."""
    listed = {title.title_id: title for title in scan_known(workspace).titles}
    return (
        [listed[title_id] for title_id in title_ids if title_id in listed],
        [title_id for title_id in title_ids if title_id not in listed],
    )


def _known(workspace: Workspace, name: str, configured: Sequence[str]) -> list[str]:
    pointer = workspace.pointers.read(INPUTS)
    remembered = pointer.value.get(name, []) if pointer else []
    if not isinstance(remembered, list):
        raise CatalogError(f"{remembered!r}", rule="the pointer `inputs` holds lists", where=f"inputs.{name}")
    return list(dict.fromkeys([*map(str, remembered), *map(_absolute, configured)]))


def _absolute(location: str) -> str:
    return location if "://" in location else str(Path(location).expanduser().absolute())
