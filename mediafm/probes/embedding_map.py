"""Shots as points in the plane: their two principal components, coloured by title or by scene. Our choice.

Legend: N points, W width, Q dimensions of the randomised range finder.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.probes.vectors import Floats, TitleVectors, Vectors, unit_rows


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """How much is drawn.

    max_shots_per_title: spread evenly over the title. max_points: whole titles are left out beyond it, and counted.
    max_names: titles named beside the map, each with its own colour; all others are grey.
    num_oversampled, num_power_iterations: of the randomised decomposition (Halko, Martinsson and Tropp 2011, alg. 4.4).
    """

    max_shots_per_title: int = 400
    max_points: int = 20_000
    max_names: int = 20
    num_oversampled: int = 8
    num_power_iterations: int = 8
    seed: int = 0
    width_inches: float = 8.0
    height_inches: float = 5.6
    dots_per_inch: int = 110


SETTINGS = MapSettings()


@dataclass(frozen=True, kw_only=True)
class PlaneMap:
    """Points float64 [N, 2], the title (or scene) of each, the share of variance of each axis, and what is missing."""

    points: Floats
    names: tuple[str, ...]
    explained: tuple[float, float]
    num_titles_left_out: int


def plane_map(
    titles: Iterable[TitleVectors],
    scenes: dict[str, Sequence[str]] | None = None,
    settings: MapSettings = SETTINGS,
) -> PlaneMap:
    """The two principal components of the shots' unit vectors.

    Args:
        titles: read one at a time; only the drawn shots are kept.
        scenes: title_id -> the name of each shot's scene, to colour by scene; by title where None.
        settings: bounds.
    """
    kept: list[Vectors] = []
    names: list[str] = []
    num_left_out = 0
    for title in titles:
        chosen = _spread(np.flatnonzero(title.is_present), settings.max_shots_per_title)
        if not len(chosen) or len(names) + len(chosen) > settings.max_points:
            num_left_out += 1
            continue
        kept.append(unit_rows(title.vectors[chosen]))
        by_shot = scenes.get(title.title_id) if scenes else None
        names += [by_shot[shot] if by_shot else title.title_id for shot in chosen.tolist()]
    vectors = np.concatenate(kept) if kept else np.zeros((0, 2), dtype=np.float32)
    points, explained = principal_plane(vectors, settings)
    return PlaneMap(points=points, names=tuple(names), explained=explained, num_titles_left_out=num_left_out)


def principal_plane(vectors: Vectors, settings: MapSettings = SETTINGS) -> tuple[Floats, tuple[float, float]]:
    """The first two principal components [N, 2] and their shares of the variance, by a randomised decomposition.

    The sign of each axis is fixed (its largest coordinate is positive), so that equal vectors give equal maps.
    """
    centred_NW = vectors.astype(np.float64) - (vectors.mean(axis=0) if len(vectors) else 0)
    total = float((centred_NW**2).sum())
    if total <= 0:
        return np.zeros((len(vectors), 2)), (0.0, 0.0)
    rng = np.random.default_rng(settings.seed)
    width = min(2 + settings.num_oversampled, *centred_NW.shape)
    range_NQ, _ = np.linalg.qr(centred_NW @ rng.normal(size=(centred_NW.shape[1], width)))
    for _ in range(settings.num_power_iterations):
        range_WQ, _ = np.linalg.qr(centred_NW.T @ range_NQ)
        range_NQ, _ = np.linalg.qr(centred_NW @ range_WQ)
    left_QQ, values_Q, _ = np.linalg.svd(range_NQ.T @ centred_NW, full_matrices=False)
    points = np.zeros((len(vectors), 2))
    num_found = min(2, len(values_Q))
    points[:, :num_found] = (range_NQ @ left_QQ * values_Q)[:, :num_found]
    largest = points[np.abs(points).argmax(axis=0), [0, 1]]
    shares = np.zeros(2)
    shares[:num_found] = values_Q[:num_found] ** 2 / total
    return points * np.where(largest < 0, -1.0, 1.0), (float(shares[0]), float(shares[1]))


def embedding_map(
    titles: Iterable[TitleVectors],
    heading: str = "Shots by their two principal components",
    scenes: dict[str, Sequence[str]] | None = None,
    settings: MapSettings = SETTINGS,
) -> bytes:
    """PNG of `plane_map`."""
    return draw_map(plane_map(titles, scenes, settings), heading, settings)


def draw_map(found: PlaneMap, heading: str, settings: MapSettings = SETTINGS) -> bytes:
    """PNG of a map: a colour for each of the largest titles, grey for the others."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(settings.width_inches, settings.height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    names, count = np.unique(np.array(found.names, dtype=np.str_), return_counts=True)
    largest = names[np.argsort(-count, kind="stable")][: settings.max_names].tolist()
    name_of_point = np.array(found.names, dtype=np.str_)
    others = found.points[~np.isin(name_of_point, largest)]
    size = float(np.clip(6000 / max(1, len(found.names)), 4, 28))
    if len(others):
        rest = f"{len(names) - len(largest)} others"
        axes.scatter(others[:, 0], others[:, 1], s=size, color="#bbbbbb", label=rest, linewidths=0)
    palette = colormaps["tab10" if len(largest) <= 10 else "tab20"]
    for number, name in enumerate(sorted(largest)):
        own = found.points[name_of_point == name]
        colour = palette(number % palette.N)
        axes.scatter(own[:, 0], own[:, 1], s=size, color=colour, alpha=0.8, linewidths=0, label=_plain(name))
    axes.set_xlabel(f"first component, {found.explained[0]:.0%} of the variance", fontsize=8)
    axes.set_ylabel(f"second component, {found.explained[1]:.0%}", fontsize=8)
    left_out = f"; {found.num_titles_left_out} titles not drawn" if found.num_titles_left_out else ""
    axes.set_title(f"{heading} ({len(found.names)} shots{left_out})", fontsize=10)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    if found.names:
        figure.legend(loc="outside right upper", fontsize=7, frameon=False, markerscale=1.4)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=settings.dots_per_inch, metadata={"Software": None})
    return drawn.getvalue()


def _plain(name: str, max_characters: int = 28) -> str:
    """A name as it is: `$` begins no formula, and a leading underscore does not hide it from the legend."""
    shown = name if len(name) <= max_characters else name[: max_characters - 1] + "…"
    return (" " if shown.startswith("_") else "") + shown.replace("$", r"\$")


def _spread(shots: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` of them, evenly."""
    return shots if len(shots) <= most else shots[np.linspace(0, len(shots) - 1, most).round().astype(np.int64)]
