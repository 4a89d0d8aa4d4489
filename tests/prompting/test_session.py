"""Pointing at objects of pictures and volumes, through the shipped network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.prompting.scenes import ball, blob, winding
from ultralightunet.engines import Engine, make_engine
from ultralightunet.errors import InputError
from ultralightunet.metrics import dice
from ultralightunet.prompting import Box, Lasso, Point, PromptSession, Stroke, into_labels
from ultralightunet.prompting.crop import Crop
from ultralightunet.prompting.looking import SIZE, Looker
from ultralightunet.prompting.marks import Marks
from ultralightunet.prompting.network import prompt_model
from ultralightunet.volume import Volume

Session = Callable[..., PromptSession]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return make_engine(prompt_model(), threads=1)


@pytest.fixture
def session(engine: Engine) -> Session:
    return lambda image, **options: PromptSession(image, engine=engine, **options)


def test_a_click_finds_a_blob_in_a_picture(session: Session) -> None:
    image, target = blob((120, 150), (50, 90), 20)
    touch = session(image)
    assert dice(touch.add(Point((50, 90))), target) > 0.9


@pytest.mark.parametrize("radius", [6, 60])
def test_small_and_large_objects_are_found_alike(session: Session, radius: int) -> None:
    image, target = blob((400, 400), (200, 180), radius)
    assert dice(session(image).add(Point((200, 180))), target) > 0.85


def test_a_box_and_a_loop_find_a_blob(session: Session) -> None:
    image, target = blob((120, 150), (50, 90), 20)
    assert dice(session(image).add(Box(((28, 73), (67, 113)))), target) > 0.9
    loop = [(50 + 28 * np.sin(a), 90 + 28 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 20)]
    assert dice(session(image).add(Lasso(loop)), target) > 0.85


def test_a_stroke_far_outside_does_not_hide_the_object_that_it_is_far_from(session: Session) -> None:
    image, target = blob((160, 400), (60, 70), 22)
    inside, outside = Stroke([(50, 60), (68, 80)]), Stroke([(150, 380), (20, 390)], positive=False)
    assert dice(session(image).add(inside, outside), target) > 0.95


def test_thin_lines_are_found_along_strokes_that_lie_all_over_the_picture(session: Session) -> None:
    image, target, pieces = winding(width=4)
    mask = session(image).add(*(Stroke(piece) for piece in pieces))
    assert dice(mask, target) > 0.8


def test_a_line_is_corrected_where_the_new_stroke_is_and_nowhere_else(session: Session) -> None:
    image, target, pieces = winding(width=4)
    missing = np.zeros_like(target)
    missing[:, 80:120] = True
    mask = session(image, start=target & ~missing).add(Stroke(pieces[4]))
    line = np.zeros_like(target)
    line[78:133] = True  # the rows of the one in the middle
    assert dice(mask & missing & line, target & missing & line) > 0.85
    assert not (mask & missing & ~line).any()
    assert ((mask != target) & ~missing).sum() <= 2


def test_prompts_are_obeyed_to_the_voxel(session: Session) -> None:
    image, _ = blob((120, 150), (50, 90), 20)
    touch = session(image)
    touch.add(Point((50, 90)))
    outside = np.array([(5, i) for i in range(5, 30)])
    inside = np.array([(50, i) for i in range(85, 95)])
    mask = touch.add(Stroke(outside))
    assert mask[5, 5:30].all()
    mask = touch.add(Stroke(inside, positive=False))
    assert not mask[50, 85:95].any()


def test_the_later_of_two_contradicting_prompts_counts_and_that_is_said(session: Session) -> None:
    image, _ = blob((120, 150), (50, 90), 20)
    touch = session(image)
    touch.add(Point((50, 90)))
    assert touch.notes == ()
    assert not touch.add(Point((50, 90), positive=False))[50, 90]
    assert "the later one counts" in touch.notes[0]
    assert touch.add(Point((50, 90)))[50, 90]


def test_what_no_prompt_touches_never_moves(session: Session) -> None:
    one, first = blob((160, 160), (40, 40), 15)
    two, second = blob((160, 160), (115, 115), 18)
    image = Volume(np.maximum(one.array, two.array), has_spacing=False)
    touch = session(image)
    touch.add(Point((40, 40)))
    before = touch.mask.copy()
    mask = touch.add(Point((115, 115)))
    assert (mask[:80, :80] == before[:80, :80]).all()
    assert dice(mask, first | second) > 0.85


def test_undo_takes_back_one_step_at_a_time(session: Session) -> None:
    image, _ = ball((24, 64, 64), (12, 32, 32), 9)
    touch = session(image)
    masks = [touch.mask.copy()]
    for prompt in (Point((12, 32, 32)), Stroke.along([(12, 20, 20), (12, 24, 24)]), Point((12, 32, 38), positive=False)):
        masks.append(touch.add(prompt).copy())
    assert len(touch) == 3
    for expected in masks[-2::-1]:
        assert (touch.undo() == expected).all()
    assert len(touch) == 0
    assert not touch.undo().any()


def test_after_undo_the_same_prompt_gives_the_same_mask(session: Session) -> None:
    image, _ = blob((120, 150), (50, 90), 20)
    touch = session(image)
    touch.add(Point((50, 90)))
    expected = touch.add(Point((50, 105), positive=False)).copy()
    touch.undo()
    assert (touch.add(Point((50, 105), positive=False)) == expected).all()


def test_a_click_in_a_volume_is_followed_through_the_slices_until_the_object_ends(session: Session) -> None:
    image, target = ball((40, 96, 96), (20, 48, 48), 12)
    mask = session(image).add(Point((20, 48, 48)))
    assert dice(mask, target) > 0.7


def test_one_slice_can_be_labelled_alone(session: Session) -> None:
    image, target = ball((40, 96, 96), (20, 48, 48), 12)
    mask = session(image, slice_only=True).add(Point((20, 48, 48)))
    assert dice(mask[20], target[20]) > 0.85
    assert not mask[:20].any()
    assert not mask[21:].any()


def test_slices_lie_across_any_axis(session: Session) -> None:
    image, target = ball((64, 64, 40), (32, 32, 20), 12)
    mask = session(image, axis=2, slice_only=True).add(Point((32, 32, 20)))
    assert dice(mask[..., 20], target[..., 20]) > 0.85
    assert mask.any((0, 1)).sum() == 1


def test_a_box_of_several_slices_bounds_the_object(session: Session) -> None:
    image, _ = ball((40, 96, 96), (20, 48, 48), 14)
    mask = session(image).add(Box(((16, 24), (33, 63), (33, 63))))
    assert mask[20].any()
    assert not mask[:16].any()
    assert not mask[24:].any()


def test_the_answer_does_not_depend_on_how_the_voxels_are_stored(session: Session) -> None:
    image, _ = ball((24, 64, 72), (12, 30, 40), 9)
    expected = session(image).add(Point((12, 30, 40)))
    affine = np.diag((-1.0, 1.0, -1.0, 1.0)) @ image.affine
    affine[:3, 3] = (71, 0, 23)
    flipped = Volume(image.array[::-1, :, ::-1], affine)
    found = session(flipped).add(Point((11, 30, 31)))
    assert (found[::-1, :, ::-1] == expected).all()


def test_labels_that_are_there_can_be_corrected(session: Session) -> None:
    image, target = blob((120, 150), (50, 90), 20)
    start = target.copy()
    start[:, :90] = False
    mask = session(image, start=start).add(Stroke.along([(45, 80), (55, 84)]))
    assert dice(mask, target) > dice(start, target)
    assert mask[:, 92:].sum() >= 0.9 * start[:, 92:].sum()


def test_a_few_labelled_slices_are_followed_to_the_others(session: Session) -> None:
    image, target = ball((40, 96, 96), (20, 48, 48), 12)
    start = np.zeros_like(target)
    start[20] = target[20]
    touch = session(image, start=start)
    mask = touch.propagate().copy()
    assert dice(mask, target) > 0.7
    assert (mask[20] == target[20]).all()
    assert (touch.undo() == start).all()


def test_filling_between_labelled_slices_looks_for_nothing_beyond_them(session: Session) -> None:
    image, target = ball((40, 96, 96), (20, 48, 48), 12)
    start = np.zeros_like(target)
    start[[14, 26]] = target[[14, 26]]
    mask = session(image, start=start).propagate(between_only=True)
    assert dice(mask[14:27], target[14:27]) > 0.85
    assert not mask[:14].any()
    assert not mask[27:].any()


def test_closing_the_work_leaves_everything_as_it_was(session: Session) -> None:
    image, _ = ball((40, 96, 96), (20, 48, 48), 12)
    touch = session(image)
    work = touch.adding(Point((20, 48, 48)))
    for _ in range(4):
        next(work)
    work.close()
    assert not touch.mask.any()
    assert len(touch) == 0


def test_a_colour_picture_is_pointed_at_as_a_grey_one_is(session: Session) -> None:
    grey, target = blob((120, 150), (50, 90), 20)
    colour = Volume(np.stack([grey.array, 255 - grey.array, grey.array // 2], -1), channels=3, has_spacing=False)
    assert dice(session(colour).add(Point((50, 90))), target) > 0.85


def test_an_image_of_two_channels_is_refused(session: Session) -> None:
    with pytest.raises(InputError, match="1 or 3 channels"):
        session(Volume(np.zeros((8, 8, 2)), channels=2))


def test_a_mask_of_another_shape_is_refused(session: Session) -> None:
    image, _ = blob((120, 150), (50, 90), 20)
    with pytest.raises(InputError, match="of the image's shape"):
        session(image, start=np.zeros((120, 151), bool))


def test_voxels_that_are_no_numbers_are_refused_and_the_labels_stay(session: Session) -> None:
    image, _ = blob((120, 150), (50, 90), 20)
    array = image.array.astype(np.float32)
    array[40:60, 80:100] = np.nan
    touch = session(Volume(array, has_spacing=False))
    with pytest.raises(InputError, match="NaN"):
        touch.add(Point((50, 90)))
    assert len(touch) == 0


def test_a_constant_image_is_refused(session: Session) -> None:
    with pytest.raises(InputError, match="all grey values are the same"):
        session(Volume(np.full((64, 64), 7), has_spacing=False)).add(Point((30, 30)))


def test_an_object_is_found_where_there_is_nothing_to_be_seen_close_by(session: Session) -> None:
    """A smaller square around the click, or a piece along a stroke, may show one grey value only."""
    image = np.zeros((160, 160), np.uint8)
    image[50:110, 50:110] = 200
    target = image > 0
    picture = Volume(image, has_spacing=False)
    assert dice(session(picture).add(Point((80, 80))), target) > 0.85
    assert dice(session(picture).add(Stroke([(60, 60), (100, 100)])), target) > 0.85
    textured = np.zeros((256, 256), np.uint8)
    textured[120:136, 120:136] = np.random.default_rng(0).integers(0, 255, (16, 16))
    mask = session(Volume(textured, has_spacing=False)).add(Stroke([(20, 20), (235, 235)]))
    assert mask[20, 20]
    line = np.zeros((256, 256), bool)
    line[100:102, 20:230] = True
    touch = session(Volume((line * 200).astype(np.uint8), has_spacing=False), start=line)
    assert np.array_equal(touch.add(Point((200, 200), positive=False)), line)


def test_an_object_is_followed_as_far_as_slices_without_any_data(session: Session) -> None:
    image, target = ball((24, 96, 96), (12, 48, 48), 9)
    padded = image.array.copy()
    padded[:6] = padded[18:] = 0
    target[:6] = target[18:] = False
    assert dice(session(Volume(padded)).add(Point((12, 48, 48))), target) > 0.95


def test_every_pixel_between_wide_strokes_is_looked_at(engine: Engine) -> None:
    looker = Looker(engine, (1.0, 2.0))
    plane = np.random.default_rng(0).normal(size=(301, 203))
    everywhere, nothing = np.ones(plane.shape, bool), np.zeros(plane.shape, bool)
    for start, stop in ((130, 294), (3, 150), (0, 301)):
        square = Crop(slice(start, stop), slice(7, 91), SIZE, (slice(0, SIZE), slice(0, SIZE)))
        for count in (2, 3):
            answer = looker.look_at_pieces(plane, Marks(everywhere, nothing, nothing), square, count)
            assert (answer.logits > -10).all()


def test_a_prompt_outside_leaves_the_labels_as_they_are(session: Session) -> None:
    image, _ = blob((120, 150), (50, 90), 20)
    touch = session(image)
    before = touch.add(Point((50, 90))).copy()
    with pytest.raises(InputError, match="inside the image"):
        touch.add(Point((50, 900)))
    assert (touch.mask == before).all()
    assert len(touch) == 1


def test_a_picture_has_no_slices_to_follow(session: Session) -> None:
    image, _ = blob((120, 150), (50, 90), 20)
    with pytest.raises(InputError, match="expected a volume"):
        session(image).propagate()


def test_the_mask_cannot_be_written_to_from_outside(session: Session) -> None:
    image, _ = blob((120, 150), (50, 90), 20)
    with pytest.raises(ValueError, match="read-only"):
        session(image).mask[0, 0] = True


def test_an_object_put_into_labels_leaves_other_classes_alone() -> None:
    labels = np.array([[1, 1, 2], [0, 0, 2]], np.uint8)
    mask = np.array([[False, True, True], [True, False, False]])
    assert into_labels(labels, mask, 1).tolist() == [[1, 1, 2], [1, 0, 2]]
    assert into_labels(labels, mask, 1, over=True).tolist() == [[1, 1, 1], [1, 0, 2]]
    assert into_labels(labels, mask, 1, in_place_of=labels == 1).tolist() == [[0, 1, 2], [1, 0, 2]]
