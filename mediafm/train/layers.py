"""Which blocks are exported: a table by layer on validation titles, and the choice.

Measured on synthetic scenes, the deeper the layer the worse the probe, because masked-shot training never supervises
what stands at unmasked positions; and fused vectors joined with the mean of two neighbours beat both: smoothing alone
looks like context. So the layer is chosen, not assumed, and stands beside those baselines and beside the same
architecture untrained. No label is read: probes judge what is exported, this only chooses among blocks. Our choice.

Read-outs are fitted on training titles and scored on validation titles; both are capped, taken evenly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import PlannedTitle, TrainingManifest
from mediafm.data.split import Part
from mediafm.model.mediafm import MediaFM
from mediafm.train.evaluation import EvaluationItem, Flags
from mediafm.train.layer_measures import neighbour_hits
from mediafm.train.layer_meters import MIN_TITLE_SHOTS, Meter, TableData
from mediafm.train.layer_rows import CRITERION, LayerRow, LayerTable, best_of, candidates, choosable
from mediafm.train.layer_sources import Baselines, ModelSource, Source, Vectors, View, item_view, title_view

SHOTS_PER_BATCH = 8192


def choose_layers(
    model: MediaFM,
    manifest: TrainingManifest,
    corpus: Corpus,
    untrained: Mapping[str, MediaFM] | None = None,
    criterion: str = CRITERION,
) -> LayerTable:
    """The table on validation titles, and the blocks that the criterion likes best (the shallower on a tie).

    Args:
        untrained: how its weights were made ("random", "data") -> the same architecture before its first step.
        criterion: a name in `layer_rows.CRITERIA`.
    """
    data = TableData.of(manifest, corpus)
    if not data.scored_titles:
        return LayerTable(rows=(), chance=None, export_layers=(1,), chosen_by="default", num_shots=0, num_titles=0)
    first = measure([Baselines(), ModelSource(model.eval(), candidates(model.config.num_layers), has_head=True)], data)
    rows = [meter.row() for meter in first if meter.line.reach is None]
    best = best_of(choosable(rows), criterion)
    chosen = best.export_layers if best else (1,)
    name = next(name for name, layers in candidates(model.config.num_layers).items() if layers == chosen)
    rows.insert(2, _best_reach([meter for meter in first if meter.line.reach], criterion))
    later: list[Source] = [ModelSource(model, {f"fused ++ {name}": chosen}, kind="joined", is_joined=True)]
    for made, other in (untrained or {}).items():
        later.append(ModelSource(other.eval(), {f"untrained ({made}), {name}": chosen}, kind="untrained"))
    rows += [meter.row() for meter in measure(later, data)]
    return LayerTable(
        rows=tuple(rows),
        chance=data.chance(),
        export_layers=chosen,
        chosen_by=criterion if best else "default",
        num_shots=sum(part.end - part.start for _, part in data.scored_titles),
        num_titles=len({planned.title.title_id for planned, _ in data.scored_titles}),
        num_fit_shots=first[0].own.num_fitted,
        num_fit_pairs=first[0].hidden.num_fitted,
        num_pairs=sum(first[0].hidden.losses.count.values()),
    )


def measure(sources: Sequence[Source], data: TableData) -> list[Meter]:
    """Every line of every source: fitted on training titles, then measured on validation titles."""
    meters = [Meter(line) for source in sources for line in source.lines]
    for shown, found in _vectors(sources, _titles(data.fit_titles, data.corpus)):
        _fit_own(meters, shown, found, data)
    for shown, found in _vectors(sources, _windows(data.fit_items, data.corpus)):
        _fit_hidden(meters, shown, found, data)
    for meter in meters:
        meter.own.close()
        meter.hidden.close()
    for shown, found in _vectors(sources, _titles(data.scored_titles, data.corpus)):
        for meter, vectors in zip(meters, found, strict=True):
            inside = vectors.at(shown.part)
            meter.add_title(shown.group_id, inside.rows())
            meter.own.score(shown.group_id, inside.coded(data.basis_RE), shown.view.fused[shown.part], data)
    for shown, found in _vectors(sources, _windows(data.scored_items, data.corpus)):
        visible, hidden = neighbour_pairs(shown.view.is_hidden)
        for meter, vectors in zip(meters, found, strict=True):
            inputs = vectors.coded(data.basis_RE)[visible]
            meter.hidden.score(shown.group_id, inputs, shown.view.fused[hidden], data)
    return meters


def neighbour_pairs(is_hidden: Flags) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(visible, hidden): places of every visible shot and hidden shot that follow one another, in either order."""
    after = np.flatnonzero(~is_hidden[:-1] & is_hidden[1:])
    before = np.flatnonzero(is_hidden[:-1] & ~is_hidden[1:])
    return np.concatenate((after, before + 1)), np.concatenate((after + 1, before))


@dataclass(frozen=True, eq=False)
class _Shown:
    """What sources are shown at once, whose it is, and which of its shots count."""

    group_id: str
    view: View
    part: slice


def _fit_own(meters: Sequence[Meter], shown: _Shown, found: Sequence[Vectors], data: TableData) -> None:
    targets = data.coded_targets(shown.view.fused[shown.part])
    for meter, vectors in zip(meters, found, strict=True):
        inside = vectors.at(shown.part)
        meter.own.add(data.halves[shown.group_id], inside.coded(data.basis_RE), targets)
        if meter.line.reach is not None and len(targets) >= MIN_TITLE_SHOTS:
            meter.training_hits.add(shown.group_id, neighbour_hits(inside.rows()))


def _fit_hidden(meters: Sequence[Meter], shown: _Shown, found: Sequence[Vectors], data: TableData) -> None:
    visible, hidden = neighbour_pairs(shown.view.is_hidden)
    targets = data.coded_targets(shown.view.fused[hidden])
    for meter, vectors in zip(meters, found, strict=True):
        meter.hidden.add(data.halves[shown.group_id], vectors.coded(data.basis_RE)[visible], targets)


def _best_reach(meters: Sequence[Meter], criterion: str) -> LayerRow:
    """The row of the reach that serves training titles best."""
    by_name = {meter.line.name: meter for meter in meters}
    best = best_of([meter.training_row() for meter in meters], criterion)
    return by_name[best.name if best else meters[0].line.name].row()


def _titles(titles: Sequence[tuple[PlannedTitle, Part]], corpus: Corpus) -> Iterator[_Shown]:
    for planned, part in titles:
        view = title_view(corpus, planned.title.title_id)
        yield _Shown(planned.group_id, view, slice(part.start, part.end))


def _windows(items: Sequence[EvaluationItem], corpus: Corpus) -> Iterator[_Shown]:
    for item in items:
        yield _Shown(item.group_id, item_view(corpus, item), slice(0, item.window.num_shots))


def _vectors(sources: Sequence[Source], shown: Iterable[_Shown]) -> Iterator[tuple[_Shown, list[Vectors]]]:
    """Everything shown, with the vectors of every line of every source; so many shots at once as a batch holds."""
    for run in _runs(shown):
        by_source = [source.vectors([one.view for one in run]) for source in sources]
        for one, found in zip(run, zip(*by_source, strict=True), strict=True):
            yield one, [vectors for part in found for vectors in part]


def _runs(shown: Iterable[_Shown]) -> Iterator[list[_Shown]]:
    run: list[_Shown] = []
    num_shots = 0
    for one in shown:
        run.append(one)
        num_shots += len(one.view.fused)
        if num_shots >= SHOTS_PER_BATCH:
            yield run
            run, num_shots = [], 0
    if run:
        yield run
