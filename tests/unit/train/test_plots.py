import matplotlib

from mediafm.train.plots import curves_png


def test_curves_are_a_png_and_leave_no_global_state(result):
    backend = matplotlib.get_backend()
    picture = curves_png(result.curves, result.report["run"]["best_step"], "a checkpoint")
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") > 800
    assert matplotlib.get_backend() == backend
    assert picture == curves_png(result.curves, result.report["run"]["best_step"], "a checkpoint")


def test_one_point_is_enough(result):
    assert curves_png(result.curves[:1], 4, "one").startswith(b"\x89PNG")
