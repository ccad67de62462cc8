"""The picture says what the data say: every mark is looked for in the pixels."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ndbmi_gym.envs.canvas import DESIGN_PX, FloatArray, RGBArray
from ndbmi_gym.envs.rendering import (
    ACTIVE,
    DECODED,
    INK,
    VOLITION,
    Frame,
    Renderer,
    Scene,
    voronoi_cells,
)

pytest.importorskip("matplotlib")

SITES = np.array([(-5.0, -5.0), (-5.0, 5.0), (5.0, -5.0), (5.0, 5.0)])
SCENE = Scene(
    half_side_cm=10.0,
    wall_cm=20.0,
    sites=SITES,
    field=lambda x: -0.3 * x,
    grid_side=3,
    title="",
)
FRAME = Frame(
    trajectory=np.array([(-8.0, -8.0), (-6.0, -7.0), (-3.0, -2.0)]),
    target=np.array((4.0, 5.0)),
    target_radius_cm=1.5,
    virtual_point=np.array((-6.0, 2.0)),
    force=np.array((1.8, -0.6)),
    volition=np.linspace(-1.0, 1.0, 9),
    counts=np.arange(9.0) * 5,
    max_count=60.0,
    step=2,
    inside=False,
    caption="",
)
WORKSPACE = slice(0, int(0.63 * DESIGN_PX[0]))  # columns of the left panel
BRAIN = slice(int(0.63 * DESIGN_PX[0]), DESIGN_PX[0])


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(SCENE)


def pixels(picture: RGBArray, colour: str, columns: slice) -> npt.NDArray[np.intp]:
    """(row, column) of the pixels of a colour within some columns, (k, 2)."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    near = (np.abs(picture[:, columns].astype(int) - rgb) <= 6).all(axis=-1)
    return np.argwhere(near) + (0, columns.start)


def changed(a: RGBArray, b: RGBArray) -> npt.NDArray[np.intp]:
    return np.argwhere((a != b).any(axis=-1))


def at(*position: float) -> Frame:
    """A frame whose mass rests at a position, decoded where it is and not pulled."""
    x = np.array(position)
    return replace(FRAME, trajectory=x[None], virtual_point=x, force=np.zeros(2))


def mass_pixel(renderer: Renderer, *position: float) -> FloatArray:
    """Where the mass is seen, (row, column); the white rim cuts its dot off the other marks."""
    with_mass = pixels(renderer.draw(at(*position)), INK, WORKSPACE)
    assert len(with_mass) > 40
    centre: FloatArray = np.median(with_mass, axis=0)
    return centre


def test_a_picture_is_rgb_of_the_size_asked_for() -> None:
    for width, height in (DESIGN_PX, (451, 301), (640, 640), (1500, 700)):
        picture = Renderer(SCENE, size_px=(width, height)).draw(FRAME)
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous


def test_equal_frames_give_equal_pictures(renderer: Renderer) -> None:
    first = renderer.draw(FRAME)
    np.testing.assert_array_equal(renderer.draw(FRAME), first)
    np.testing.assert_array_equal(Renderer(SCENE).draw(FRAME), first)


def test_a_frame_leaves_no_ghost_in_the_next(renderer: Renderer) -> None:
    other = replace(
        FRAME,
        trajectory=np.array([(9.0, 1.0), (14.0, 11.0)]),
        target=np.array((-4.0, 0.0)),
        virtual_point=np.array((6.0, -8.0)),
        force=np.array((-1.0, 2.0)),
        volition=-FRAME.volition,
        counts=FRAME.counts[::-1],
        max_count=45.0,
        step=123,
        inside=True,
        caption="another caption",
    )
    before = renderer.draw(FRAME)
    between = renderer.draw(other)
    assert len(changed(before, between)) > 1000
    np.testing.assert_array_equal(renderer.draw(FRAME), before)


def test_a_picture_is_a_copy_that_later_frames_leave_alone(renderer: Renderer) -> None:
    picture = renderer.draw(FRAME)
    kept = picture.copy()
    renderer.draw(at(5.0, 5.0))
    np.testing.assert_array_equal(picture, kept)


def test_the_mass_is_drawn_to_scale_with_x_right_and_y_up(renderer: Renderer) -> None:
    origin = mass_pixel(renderer, 0.0, -2.0)
    right, up = mass_pixel(renderer, 6.0, -2.0), mass_pixel(renderer, 0.0, 4.0)
    px_per_cm = (right - origin)[1] / 6
    assert px_per_cm > 15
    np.testing.assert_allclose(right - origin, (0, 6 * px_per_cm), atol=1)
    np.testing.assert_allclose(up - origin, (-6 * px_per_cm, 0), atol=1)


def test_a_moved_mass_changes_only_the_pixels_around_both_places(renderer: Renderer) -> None:
    a, b = (-7.0, -6.0), (-4.0, -3.0)  # within one region
    places = mass_pixel(renderer, *a), mass_pixel(renderer, *b)
    rows_columns = changed(renderer.draw(at(*a)), renderer.draw(at(*b)))
    off = np.min([np.abs(rows_columns - place).max(axis=1) for place in places], axis=0)
    assert off.max() <= 12
    for place in places:
        assert (np.abs(rows_columns - place).max(axis=1) <= 3).any()


@pytest.mark.parametrize("position", [(-3.0, -2.0), (-2.0, 6.0), (7.0, -1.0), (1.0, 9.0)])
def test_the_active_region_is_that_of_the_nearest_site(
    renderer: Renderer, position: tuple[float, float]
) -> None:
    centre, outline = mass_pixel(renderer, 0.0, 0.0), renderer.draw(at(*position))
    rows, columns = (pixels(outline, ACTIVE, WORKSPACE) - centre).T
    x, y = position
    assert (np.sign(x) * columns >= -2).all()
    assert (-np.sign(y) * rows >= -2).all()
    assert (np.sign(x) * columns).max() > 200  # the region reaches the edge of the view
    assert (-np.sign(y) * rows).max() > 200


def test_the_force_is_an_arrow_from_the_mass(renderer: Renderer) -> None:
    centre = mass_pixel(renderer, -3.0, -2.0)
    still = renderer.draw(at(-3.0, -2.0))
    for force in np.array([(2.0, 0.0), (0.0, 2.0), (-2.0, 0.0), (0.0, -2.0)]):
        pulled = renderer.draw(replace(at(-3.0, -2.0), force=force))
        rows, columns = (changed(still, pulled) - centre).T
        along = force @ np.stack([columns, -rows]) / 2
        assert along.max() > 25
        assert along.min() > -3


def test_the_decoded_point_is_joined_to_the_mass(renderer: Renderer) -> None:
    frame = replace(at(-6.0, -6.0), virtual_point=np.array((6.0, -6.0)))
    marks = pixels(renderer.draw(frame), DECODED, WORKSPACE)
    new = changed(renderer.draw(at(-6.0, -6.0)), renderer.draw(frame))
    mass, point = mass_pixel(renderer, -6.0, -6.0), mass_pixel(renderer, 6.0, -6.0)
    assert (np.abs(marks - point).max(axis=1) <= 4).sum() > 20
    link = new[(new[:, 1] > mass[1] + 15) & (new[:, 1] < point[1] - 15)]
    assert len(link) > 20
    assert np.abs(link[:, 0] - mass[0]).max() <= 2


def test_the_trajectory_fades_into_the_past(renderer: Renderer) -> None:
    line = np.stack([np.linspace(-9.0, 9.0, 10), np.full(10, -8.3)], axis=1)
    picture = renderer.draw(replace(FRAME, trajectory=line))
    early, late = (
        mass_pixel(renderer, *(line[i] + line[i + 1]) / 2).round().astype(int) for i in (1, 7)
    )
    darkness = [765 - int(picture[r - 2 : r + 3, c].sum(axis=-1).min()) for r, c in (early, late)]
    assert darkness[1] > darkness[0] + 100


def test_a_mass_out_of_view_is_marked_on_the_edge(renderer: Renderer) -> None:
    centre = mass_pixel(renderer, 0.0, 0.0)
    out = changed(renderer.draw(at(11.0, 4.0)), renderer.draw(at(19.0, 4.0)))
    marks = pixels(renderer.draw(at(19.0, 4.0)), INK, WORKSPACE)
    assert len(out) > 100
    row = mass_pixel(renderer, 0.0, 4.0)[0]
    on_edge = marks[np.abs(marks[:, 0] - row) <= 10]
    assert len(on_edge) > 20
    assert (on_edge[:, 1] - centre[1]).min() > 230


def test_the_view_ends_at_a_near_wall(renderer: Renderer) -> None:
    walled = Renderer(replace(SCENE, wall_cm=10.0))
    wide = mass_pixel(renderer, 6.0, 0.0) - mass_pixel(renderer, 0.0, 0.0)
    near = mass_pixel(walled, 6.0, 0.0) - mass_pixel(walled, 0.0, 0.0)
    np.testing.assert_allclose(near, 1.25 * wide, atol=2)


def test_volition_bars_have_a_fixed_scale_and_a_sign(renderer: Renderer) -> None:
    def rows(level: float) -> npt.NDArray[np.intp]:
        volition = np.zeros(9)
        volition[4] = level
        picture = renderer.draw(replace(FRAME, volition=volition))
        return np.unique(pixels(picture, VOLITION, BRAIN)[:, 0])

    full, half, negative = rows(1.0), rows(0.5), rows(-1.0)
    assert len(full) > 30
    assert len(full) == pytest.approx(2 * len(half), abs=3)
    assert len(full) == pytest.approx(len(negative), abs=3)
    assert full.max() <= negative.min()
    unsigned = Renderer(replace(SCENE, volition_low=0.0)).draw(
        replace(FRAME, volition=np.full(9, 1.0))
    )
    taller = np.unique(pixels(unsigned, VOLITION, BRAIN)[:, 0])
    assert len(taller) == pytest.approx(2 * len(full), abs=4)


def test_counts_lie_as_the_electrodes_do_and_each_has_its_own_cell(renderer: Renderer) -> None:
    blank = renderer.draw(replace(FRAME, counts=np.zeros(9)))

    def cell(electrode: int) -> tuple[FloatArray, FloatArray]:
        lit = renderer.draw(replace(FRAME, counts=30.0 * (np.arange(9) == electrode)))
        spots = changed(blank, lit)
        return spots.min(axis=0).astype(float), spots.max(axis=0).astype(float)

    (first_top, first_bottom), (up_top, up_bottom), (right_top, _) = cell(0), cell(1), cell(3)
    assert up_bottom[0] < first_top[0] + 3  # the second index is y, which points up
    assert up_top[1] == first_top[1]
    assert right_top[1] > first_bottom[1] - 3  # the first index is x
    assert right_top[0] == first_top[0]


def test_the_colour_of_a_count_does_not_depend_on_the_others(renderer: Renderer) -> None:
    alone = renderer.draw(replace(FRAME, counts=np.array([30.0] + 8 * [0.0])))
    crowd = renderer.draw(replace(FRAME, counts=np.array([30.0] + 8 * [60.0])))
    other = renderer.draw(replace(FRAME, counts=np.array([0.0] + 8 * [0.0])))
    inside = changed(alone, other).mean(axis=0).astype(int) + (14, 14)
    np.testing.assert_array_equal(alone[tuple(inside)], crowd[tuple(inside)])
    assert (alone[tuple(inside)] != other[tuple(inside)]).any()


@pytest.mark.parametrize("n", [1, 7, 25, 60])
def test_any_number_of_electrodes_can_be_drawn(n: int) -> None:
    frame = replace(FRAME, volition=np.full(n, 0.5), counts=np.full(n, 20.0))
    for grid_side in (3, 5):
        renderer = Renderer(replace(SCENE, grid_side=grid_side))
        silent = renderer.draw(replace(frame, counts=np.zeros(n)))
        assert len(changed(renderer.draw(frame), silent)) > 1000


def test_a_field_without_force_can_be_drawn() -> None:
    assert Renderer(replace(SCENE, field=np.zeros_like)).draw(FRAME).std() > 0


def test_regions_are_the_voronoi_cells_of_their_sites() -> None:
    rng = np.random.default_rng(4)
    sites = rng.uniform(-10, 10, (32, 2))
    cells = voronoi_cells(sites, 12.5)
    x, y = np.moveaxis(rng.uniform(-12.5, 12.5, (500, 2)), -1, 0)
    nearest = np.argmin((x[:, None] - sites[:, 0]) ** 2 + (y[:, None] - sites[:, 1]) ** 2, axis=1)
    area = 0.0
    for i, cell in enumerate(cells):
        (px, py), (qx, qy) = cell.T, np.roll(cell, -1, axis=0).T
        area += float((px * qy - qx * py).sum() / 2)
        left = (qx - px) * (y[:, None] - py) - (qy - py) * (x[:, None] - px)
        np.testing.assert_array_equal((left >= 0).all(axis=1), nearest == i)
    assert area == pytest.approx(25.0**2)


def test_regions_of_equal_or_far_sites() -> None:
    twin, same, beyond = voronoi_cells(np.array([(1.0, 0.0), (1.0, 0.0), (90.0, 0.0)]), 10.0)
    np.testing.assert_array_equal(twin, same)
    assert beyond.shape == (0, 2)
    (everything,) = voronoi_cells(np.zeros((1, 2)), 10.0)
    assert everything.shape == (4, 2)


def test_the_perturbing_force_has_an_arrow_of_its_own():
    renderer = Renderer(SCENE)
    calm = renderer.draw(FRAME)
    pushed = renderer.draw(replace(FRAME, perturbing_force=np.array([0.0, 2.0])))
    assert (calm != pushed).any()
    np.testing.assert_array_equal(renderer.draw(FRAME), calm)


def test_an_obstacle_is_marked_where_it_is(renderer: Renderer) -> None:
    plain, frame = Renderer(SCENE), at(-6.0, -6.0)
    hindered = Renderer(replace(SCENE, obstacles=[((5.0, 2.0), 1.5)]))
    before, after = plain.draw(frame), hindered.draw(frame)
    spots = changed(before, after)
    marked = spots[spots[:, 1] < WORKSPACE.stop]
    px_per_cm = (mass_pixel(renderer, 6.0, 0.0) - mass_pixel(renderer, 0.0, 0.0))[1] / 6
    off = np.linalg.norm(marked - mass_pixel(renderer, 5.0, 2.0), axis=1) / px_per_cm
    assert off.max() == pytest.approx(1.5, abs=0.15)
    assert (spots[:, 1] > BRAIN.start).sum() > 100  # the legend tells of it


def test_title_and_note_are_written_above() -> None:
    blank = Renderer(SCENE).draw(FRAME)
    for words in ({"title": "ndbmi/ShiftTarget-v1"}, {"note": "projection decoder"}):
        spots = changed(blank, Renderer(replace(SCENE, **words)).draw(FRAME))
        assert len(spots) > 300
        assert spots[:, 0].max() < 50


def test_the_caption_goes_on_after_the_note() -> None:
    scene = replace(SCENE, note="a decoder")
    without = Renderer(scene).draw(FRAME)
    spots = changed(without, Renderer(scene).draw(replace(FRAME, caption=", and a caption")))
    blank = changed(Renderer(SCENE).draw(FRAME), without)
    assert spots[:, 1].min() >= blank[:, 1].max() - 1


@pytest.mark.parametrize("n", [9, 25])
def test_counts_are_written_in_their_cells(n: int) -> None:
    renderer = Renderer(replace(SCENE, grid_side=round(n**0.5)))
    frame = replace(FRAME, volition=np.zeros(n), counts=np.zeros(n), max_count=1e6)
    pale = renderer.draw(frame)
    for count in (1.0, 18.0, 123.0):  # all of them are as pale as none
        one = renderer.draw(replace(frame, counts=count * (np.arange(n) == n - 1)))
        assert len(changed(pale, one)) > 15


def test_pictures_of_any_shape_show_the_same_in_their_middle() -> None:
    square = Renderer(SCENE, (600, 600)).draw(FRAME)
    np.testing.assert_array_equal(square[100:500], Renderer(SCENE, (600, 400)).draw(FRAME))
    assert (square[:100] == 255).all()
    assert (square[500:] == 255).all()


def test_a_style_of_the_users_own_changes_nothing() -> None:
    import matplotlib

    before = Renderer(SCENE).draw(FRAME)
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.grid": True}):
        np.testing.assert_array_equal(Renderer(SCENE).draw(FRAME), before)
