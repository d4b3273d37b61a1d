from io import BytesIO

import pytest
from PIL import Image

from mediafm.train.plots import curves_png, layers_png, rates_png


def size_of(picture):
    with Image.open(BytesIO(picture)) as opened:
        return opened.size


def test_curves_are_a_png_of_the_same_bytes_for_the_same_run(result):
    best = result.report["run"]["best_step"]
    picture = curves_png(result.curves, best, "a checkpoint")
    assert size_of(picture)[0] >= 800
    assert picture == curves_png(result.curves, best, "a checkpoint")


def test_one_point_is_enough(result):
    assert size_of(curves_png(result.curves[:1], 4, "one"))[0] >= 800
    assert size_of(rates_png(result.curves[:1], "one"))[0] >= 800


def test_rates_are_a_png_of_the_same_bytes_for_the_same_run(result):
    assert rates_png(result.curves, "rates") == rates_png(result.curves, "rates")


def test_the_layer_table_grows_with_its_rows_and_shows_new_measures(result):
    layers = result.report["layers"]
    picture = layers_png(layers, "layers")
    assert picture == layers_png(layers, "layers")
    more = {**layers, "rows": [*layers["rows"], *layers["rows"]]}
    assert size_of(layers_png(more, "layers"))[1] > size_of(picture)[1]
    wider = {**layers, "rows": [{**row, "a_new_measure": float(at)} for at, row in enumerate(layers["rows"])]}
    assert layers_png(wider, "layers") != picture


@pytest.mark.parametrize("value", [None, 0.5, True, "words"])
def test_measures_that_are_missing_equal_or_no_numbers_do_not_stop_the_picture(result, value):
    layers = result.report["layers"]
    odd = {**layers, "rows": [{**row, "odd": value} for row in layers["rows"]]}
    assert size_of(layers_png(odd, "layers"))[0] >= 800


def test_a_table_without_rows_has_no_picture(result):
    assert layers_png({**result.report["layers"], "rows": []}, "none") is None
