"""The pictures are PNG, the same for the same input, and bear strange names; the plane is the principal one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mediafm.catalog.title import Problem
from mediafm.probes.chart import MAX_PANELS, probe_chart
from mediafm.probes.embedding_map import MapSettings, draw_map, embedding_map, plane_map, principal_plane
from mediafm.probes.report import ProbeReport, ProbeRow
from mediafm.probes.vectors import TitleVectors

PNG = b"\x89PNG\r\n\x1a\n"
ROW = ProbeRow(
    task="tone", kind="binary", measure="average precision", features="fused", is_baseline=True, width=48,
    pca_width=None, choice="", value=0.6, low=0.5, high=0.7,
    chance=0.3, is_above_chance=True, num_clips=80, num_groups=8, num_classes=1, num_folds=5, num_absent_clips=0,
    num_unconverged=0, strengths=(1.0,), seen_by_checkpoint=None,
)  # fmt: skip


def report(*rows: ProbeRow) -> ProbeReport:
    return ProbeReport(
        rows=rows,
        context_bought=(),
        differences=(),
        dropped=(),
        not_measured=(Problem("x", "why $"),),
        labels_sha256="0" * 64,
    )


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(PNG)
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (ROW,),
        (ROW, replace(ROW, features="$\\frac_", low=None, high=None, is_above_chance=False)),
        tuple(replace(ROW, task=f"$ta_sk {number}" + "x" * 90) for number in range(5)),
    ],
)
def test_the_chart_is_drawn_whatever_there_is(rows: tuple[ProbeRow, ...]) -> None:
    width, height = size_of(probe_chart(report(*rows)))
    assert 200 < width < 1600
    assert 100 < height < 1400
    assert probe_chart(report(*rows)) == probe_chart(report(*rows))


def test_the_chart_is_bounded() -> None:
    _, height = size_of(probe_chart(report(*(replace(ROW, task=str(number)) for number in range(MAX_PANELS + 20)))))
    assert height < 2000


def titles(num_titles: int, num_shots: int, width: int = 6) -> list[TitleVectors]:
    rng = np.random.default_rng(0)
    return [
        TitleVectors(
            title_id=f"_title_{number}$",
            vectors=rng.normal(size=(num_shots, width)).astype(np.float32),
            is_present=np.arange(num_shots) != 0,
        )
        for number in range(num_titles)
    ]


@pytest.mark.parametrize(("num_titles", "num_shots"), [(0, 0), (1, 1), (1, 2), (3, 10), (30, 4)])
def test_the_map_is_drawn_whatever_there_is(num_titles: int, num_shots: int) -> None:
    width, height = size_of(embedding_map(iter(titles(num_titles, num_shots))))
    assert (width, height) == (880, 616)


def test_the_map_is_bounded_and_counts_what_it_left_out() -> None:
    found = plane_map(titles(10, 50), settings=MapSettings(max_shots_per_title=20, max_points=70))
    assert (len(found.points), found.num_titles_left_out) == (60, 7)
    assert set(found.names) == {"_title_0$", "_title_1$", "_title_2$"}
    assert size_of(draw_map(found, "x $"))


def test_the_map_can_be_coloured_by_scene() -> None:
    (title,) = titles(1, 4)
    found = plane_map([title], scenes={title.title_id: ["sea", "sea", "snow", "snow"]})
    assert found.names == ("sea", "snow", "snow")


@pytest.mark.parametrize("shape", [(5, 40), (200, 40), (40, 3), (7, 1), (1, 4), (3, 2)])
def test_the_plane_is_the_principal_one(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=shape) * np.geomspace(10, 0.1, shape[1])).astype(np.float32)
    points, explained = principal_plane(vectors)
    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = np.zeros((shape[0], 2))
    expected[:, : min(2, len(values))] = (left * values)[:, :2]
    assert np.abs(points) == pytest.approx(np.abs(expected), abs=0.01)
    if shape[0] > 1:
        assert sum(explained) == pytest.approx((values[:2] ** 2).sum() / (values**2).sum(), abs=1e-3)


def test_equal_vectors_have_no_plane() -> None:
    points, explained = principal_plane(np.ones((5, 3), dtype=np.float32))
    assert (points == 0).all()
    assert explained == (0.0, 0.0)


def test_a_name_cannot_hide_from_the_legend_or_become_a_formula(catalogue: Any) -> None:
    assert size_of(embedding_map(catalogue.known, heading="All of them"))
