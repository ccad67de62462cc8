"""What the canvas draws is where it was asked for, in the colour that was asked for."""

import subprocess
import sys

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

from ndbmi_gym.envs.canvas import DESIGN_PX, Canvas

pytest.importorskip("matplotlib")

INK = "#102030"
RGB = (0x10, 0x20, 0x30)


def painted(canvas):
    """(row, column) of all that is not white."""
    return np.argwhere((canvas.picture() != 255).any(axis=-1))


def box(canvas):
    """Left, bottom, right and top of what is painted, in pixels of the picture."""
    (top, left), (bottom, right) = (
        extreme(painted(canvas), axis=0) for extreme in (np.min, np.max)
    )
    height = canvas.picture().shape[0]
    return left, height - 1 - bottom, right + 1, height - top


SQUARE = np.array([(100.0, 200), (140, 200), (140, 260), (100, 260)])


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_lengths_scale_with_the_picture(scale):
    size = tuple(int(scale * side) for side in DESIGN_PX)
    wanted = scale * np.array((100, 200, 140, 260))
    for draw in ("polygon", "rectangle", "rectangle down", "line", "disc"):
        canvas = Canvas(size)
        if draw == "polygon":
            canvas.polygon(SQUARE, INK)
        elif draw == "line":
            canvas.line(np.array([(105.0, 230), (135, 230)]), INK, 10)
            wanted = scale * np.array((100, 225, 140, 235))  # its ends are round
        elif draw == "disc":
            canvas.disc(np.array((120.0, 230)), 20, INK)
            wanted = scale * np.array((100, 210, 140, 250))
        elif draw == "rectangle":
            canvas.rectangle(100, 200, 40, 60, INK)
        else:
            canvas.rectangle(100, 260, 40, -60, INK)
        np.testing.assert_allclose(box(canvas), wanted, atol=0.6)
        height, (left, low, right, high) = size[1], wanted.astype(int)
        middle = canvas.picture()[height - (low + high) // 2, (left + right) // 2]
        np.testing.assert_array_equal(middle, RGB)


def test_a_design_is_centred_in_a_picture_of_another_shape():
    canvas = Canvas((1000, 600))
    canvas.rectangle(0, 0, *DESIGN_PX, INK)
    np.testing.assert_array_equal(box(canvas), (50, 0, 950, 600))


def test_edges_are_smooth_and_colours_let_through():
    canvas = Canvas()
    canvas.disc(np.array((300.0, 300)), 50, INK)
    shades = np.unique(canvas.picture().reshape(-1, 3), axis=0)
    assert len(shades) > 20
    canvas = Canvas()
    canvas.polygon(SQUARE, INK + "80")
    half = canvas.picture()[600 - 230, 120]
    np.testing.assert_allclose(half, 255 - (255 - np.array(RGB)) * 128 / 255, atol=1)


def test_several_polygons_are_drawn_at_once():
    one, both = Canvas(), Canvas()
    for corners in (SQUARE, SQUARE + 200):
        one.polygon(corners, INK, "#ff0000", 2)
    both.polygon(np.stack([SQUARE, SQUARE + 200]), INK, "#ff0000", 2)
    both.polygon(np.empty((0, 4, 2)), INK)
    np.testing.assert_array_equal(one.picture(), both.picture())


def test_dashes_leave_gaps():
    def share(**dashes):
        canvas = Canvas()
        canvas.line(np.array([(100.0, 100), (500, 100)]), INK, 2, **dashes)
        return len(painted(canvas))

    assert share(dashes=(5, 5)) == pytest.approx(share() / 2, rel=0.1)


@pytest.mark.parametrize("align", [0.0, 0.5, 1.0])
def test_a_line_of_text_is_as_long_as_it_says_and_stands_where_it_should(align):
    canvas = Canvas()
    length = canvas.text(400, 300, "Two words", 40, INK, align=align)
    left, low, right, high = box(canvas)
    assert right - left == pytest.approx(length, abs=6)
    assert left == pytest.approx(400 - align * length, abs=4)
    assert low == pytest.approx(300, abs=2)  # no letter reaches below the base line
    assert high == pytest.approx(300 + 40 * 0.73, abs=4)


def test_text_of_the_same_words_is_the_same_wherever_it_was_first_written():
    fresh = Canvas()
    fresh.text(100, 100, "3.4 cm", 20, INK)
    other = Canvas()
    other.text(300, 300, "cm 3.4", 20, INK)
    other.restore()
    other.text(100, 100, "3.4 cm", 20, INK)
    np.testing.assert_array_equal(fresh.picture(), other.picture())


def test_text_too_small_to_be_read_is_left_out():
    canvas = Canvas((90, 60))
    assert canvas.text(400, 300, "Two words", 12, INK) == 0
    assert not len(painted(canvas))


def test_nothing_is_drawn_beyond_a_limit_and_all_is_after_it():
    canvas = Canvas()
    with canvas.within(0, 0, 120, 600):
        canvas.polygon(SQUARE, INK)
    assert box(canvas)[2] == 120
    canvas.polygon(SQUARE, INK)
    assert box(canvas)[2] == 140


def test_a_limit_ends_with_an_error():
    canvas = Canvas()
    with pytest.raises(RuntimeError), canvas.within(0, 0, 120, 600):
        raise RuntimeError
    canvas.polygon(SQUARE, INK)
    assert box(canvas)[2] == 140


def test_what_was_kept_comes_back():
    canvas = Canvas()
    canvas.polygon(SQUARE, INK)
    canvas.keep()
    kept = canvas.picture()
    canvas.disc(np.array((300.0, 300)), 50, INK)
    assert (canvas.picture() != kept).any()
    canvas.restore()
    np.testing.assert_array_equal(canvas.picture(), kept)


def test_importing_it_loads_no_drawing_library():
    code = (
        "import sys, ndbmi_gym.envs.vector; "
        "sys.exit(bool({'matplotlib', 'pygame'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_matplotlib_gives_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyNotInstalled, match=r'pip install "ndbmi-gym\[render\]"'):
        Canvas()
