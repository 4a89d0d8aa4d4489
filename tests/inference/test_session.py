"""From an image to labels on its own grid."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

import ultralightunet as ulu
from tests.small_models import small_model
from ultralightunet.events import Progress, finish
from ultralightunet.io import read_image
from ultralightunet.metrics import dice
from ultralightunet.models import Intensity
from ultralightunet.volume import Source, Volume


@pytest.fixture(scope="module")
def head(sample_data: Path) -> Volume:
    return read_image(sample_data / "colin27_t1.nii.gz")


@pytest.fixture(scope="module")
def brain() -> ulu.Model:
    return ulu.load_model("brain")


@pytest.fixture(scope="module")
def head_labels(head: Volume, brain: ulu.Model) -> np.ndarray:
    return ulu.segment(head, brain).labels


def scanner() -> np.ndarray:
    """An affine as a scanner writes it: anisotropic, and not quite along the patient's axes."""
    affine = np.array([[-0.9, 0.05, 0.1, 80], [0.04, 1.1, -0.2, -100], [0.1, 0.2, 2.4, -60], [0, 0, 0, 1.0]])
    return affine


def test_the_shipped_model_finds_the_brain_of_a_real_head(head_labels: np.ndarray, sample_data: Path) -> None:
    reference = read_image(sample_data / "colin27_brain_mask.nii.gz").array > 0
    assert dice(head_labels == 1, reference) > 0.93


def test_labels_lie_on_the_images_own_grid(head: Volume, brain: ulu.Model) -> None:
    found = ulu.segment(head, brain)
    assert found.labels.shape == head.shape
    assert found.labels.dtype == np.uint8
    np.testing.assert_array_equal(found.affine, head.affine)
    assert [c.name for c in found.classes] == ["background", "brain", "cerebrospinal fluid"]
    assert 1000 < found.volumes_ml()[1] < 2000


def rearranged(head: Volume, axes: tuple[int, int, int], flips: tuple[int, int, int]) -> tuple[Volume, callable]:
    """The same head stored with other axes (of the array) and directions, and the way back for its labels."""
    to_index = np.zeros((4, 4))
    to_index[3, 3] = 1
    array = head.array.transpose(axes)[tuple(slice(None, None, -1 if f else 1) for f in flips)]
    for new, old in enumerate(axes):
        # Rows and columns count (i, j, k), arrays (k, j, i).
        row, column = 2 - old, 2 - new
        to_index[row, column] = -1 if flips[new] else 1
        to_index[row, 3] = head.array.shape[old] - 1 if flips[new] else 0
    volume = Volume(array, head.affine @ to_index)

    def back(labels: np.ndarray) -> np.ndarray:
        return labels[tuple(slice(None, None, -1 if f else 1) for f in flips)].transpose(np.argsort(axes))

    return volume, back


@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), (0, 0, 1)), ((2, 0, 1), (1, 0, 1)), ((1, 2, 0), (1, 1, 1))])
def test_a_flipped_or_permuted_head_gives_the_same_labels(
    head: Volume, brain: ulu.Model, head_labels: np.ndarray, axes: tuple[int, int, int], flips: tuple[int, int, int]
) -> None:
    volume, back = rearranged(head, axes, flips)
    np.testing.assert_array_equal(back(ulu.segment(volume, brain).labels), head_labels)


@pytest.mark.parametrize(
    ("degrees", "spacing", "least"), [(12, (1.0, 1.0, 1.0), 0.96), (25, (1.2, 0.9, 1.1), 0.93), (0, (4.0, 0.9, 0.9), 0.93)]
)
def test_an_oblique_or_resampled_head_gives_the_same_labels_in_the_same_place(
    head: Volume, brain: ulu.Model, head_labels: np.ndarray, degrees: float, spacing: tuple[float, ...], least: float
) -> None:
    """The grid is turned and rescaled, the patient stays where he is."""
    angle = np.deg2rad(degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    shape = tuple(round(230 / s) for s in spacing)
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing[::-1])
    middle = head.affine @ [*(np.array(head.shape[::-1]) - 1) / 2, 1]
    affine[:3, 3] = middle[:3] - affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)

    def carried(array: np.ndarray, source: np.ndarray, target: np.ndarray, out_shape: tuple[int, ...], order: int) -> np.ndarray:
        step = np.linalg.inv(source) @ target
        return scipy.ndimage.affine_transform(array, step[:3, :3][::-1, ::-1], step[:3, 3][::-1], out_shape, order=order)

    oblique = Volume(carried(head.array, head.affine, affine, shape, 1), affine)
    found = ulu.segment(oblique, brain).labels
    expected = carried(head_labels, head.affine, affine, shape, 0)
    assert dice(found == 1, expected == 1) > least


@pytest.mark.parametrize("box", [((70, 110), (90, 130), (70, 110)), ((40, 120), (60, 160), (50, 130)), ((80, 81), (0, 217), (0, 181))])
def test_labels_in_a_box_are_those_of_the_whole_image_and_nothing_is_labelled_beyond(
    head: Volume, brain: ulu.Model, head_labels: np.ndarray, box: tuple
) -> None:
    found = ulu.segment(head, brain, box=box).labels
    inside = tuple(slice(*part) for part in box)
    assert (found[inside] == head_labels[inside]).mean() > 0.95
    outside = found.copy()
    outside[inside] = 0
    assert not outside.any()


def test_through_windows_too_a_box_gets_the_labels_of_the_whole_image(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m", seed=3, spacing=(1.5, 1.5, 1.5))
    image = Volume(np.random.default_rng(0).normal(size=(40, 90, 150)).astype(np.float32), scanner())
    whole, boxed = ulu.segment(image, model), ulu.segment(image, model, box=((10, 30), (40, 60), (100, 120)))
    np.testing.assert_array_equal(boxed.labels[10:30, 40:60, 100:120], whole.labels[10:30, 40:60, 100:120])
    assert boxed.facts["windows"] < whole.facts["windows"]


def test_for_a_model_of_crops_a_box_is_an_image_of_its_own(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m", seed=3, box_is_image=True)
    array = np.random.default_rng(0).normal(size=(50, 60, 70)).astype(np.float32)
    found = ulu.segment(array, model, box=((5, 40), (10, 50), (20, 60))).labels
    np.testing.assert_array_equal(found[5:40, 10:50, 20:60], ulu.segment(array[5:40, 10:50, 20:60], model).labels)


@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), (0, 1, 1)), ((2, 0, 1), (1, 0, 1)), ((1, 2, 0), (1, 1, 1))])
def test_slices_of_a_flipped_or_permuted_volume_get_the_same_labels(
    tmp_path: Path, axes: tuple[int, int, int], flips: tuple[int, int, int]
) -> None:
    model = small_model(tmp_path / "m", spatial_dims=2, classes=2, size=(64, 64), window=(64, 64), seed=22)
    image = Volume(np.random.default_rng(0).normal(size=(6, 40, 50)).astype(np.float32), np.diag([1, 1, 5, 1.0]))
    turned, back = rearranged(image, axes, flips)
    np.testing.assert_array_equal(back(ulu.segment(turned, model).labels), ulu.segment(image, model).labels)


def test_colour_arrays_are_pictures_for_a_2d_model(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m", spatial_dims=2, in_channels=3, classes=2, size=(64, 64), window=(64, 64), seed=8)
    rgba = np.random.default_rng(0).integers(0, 255, (30, 40, 4), np.uint8)
    np.testing.assert_array_equal(ulu.segment(rgba, model).labels, ulu.segment(Volume(rgba[..., :3], channels=3), model).labels)


@pytest.mark.parametrize("size", [1000.0, 1e-4])
def test_an_absurd_voxel_size_is_refused_before_any_memory_is_asked_for(brain: ulu.Model, size: float) -> None:
    image = Volume(np.random.default_rng(0).normal(size=(20, 20, 20)), np.diag([size, size, size, 1]))
    with pytest.raises(ulu.InputError, match="correct the voxel size"):
        ulu.segment(image, brain)


def test_a_repeated_run_gives_the_same_labels_bit_for_bit(head: Volume, brain: ulu.Model, head_labels: np.ndarray) -> None:
    np.testing.assert_array_equal(ulu.segment(head, brain).labels, head_labels)


def test_both_engines_give_the_same_labels(head: Volume, brain: ulu.Model, head_labels: np.ndarray) -> None:
    other = ulu.segment(head, brain, engine="torch").labels
    assert (other != head_labels).mean() < 1e-5


def test_a_2d_model_labels_every_slice_or_one(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m", spatial_dims=2, classes=2, size=(64, 64), window=(64, 64), seed=22)
    image = Volume(np.random.default_rng(0).normal(size=(6, 40, 50)).astype(np.float32), np.diag([1, 1, 5, 1.0]))
    every = ulu.segment(image, model).labels
    one = ulu.segment(image, model, axis=0, slice=3).labels
    assert set(np.unique(every)) == {0, 1}
    np.testing.assert_array_equal(one[3], every[3])
    assert not np.delete(one, 3, axis=0).any()
    across = ulu.segment(image, model, axis=2, slice=7).labels
    assert not np.delete(across, 7, axis=2).any()
    # Seen as on a screen, rows to the back and columns to the left, the slice is a picture like any other.
    np.testing.assert_array_equal(one[3, ::-1, ::-1], ulu.segment(Volume(image.array[3, ::-1, ::-1]), model).labels)


@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 1)])
def test_a_model_that_sees_mirror_images_labels_a_mirrored_picture_alike(tmp_path: Path, axes: tuple[int, ...]) -> None:
    model = small_model(tmp_path / "m", spatial_dims=2, classes=4, size=(64, 64), window=(64, 64), seed=5, mirrored=axes)
    grey = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    labels = ulu.segment(Volume(grey), model).labels
    assert len(np.unique(labels)) > 1
    for axis in (0, 1):
        mirrored = np.flip(ulu.segment(Volume(np.flip(grey, axis)), model).labels, axis)
        assert (np.mean(mirrored != labels) < 0.005) == (axis in axes)


def test_a_slice_outside_the_volume_is_named(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m", spatial_dims=2, classes=2, size=(64, 64), window=(64, 64), seed=22)
    with pytest.raises(ulu.InputError, match="from 0 to 5 along axis 0, found 6"):
        ulu.segment(Volume(np.random.default_rng(0).normal(size=(6, 40, 50))), model, axis=0, slice=6)


def test_colour_grey_and_plain_arrays_are_taken(tmp_path: Path) -> None:
    model = small_model(
        tmp_path / "m",
        seed=8,
        spatial_dims=2,
        in_channels=3,
        classes=2,
        size=(64, 96),
        window=(64, 96),
        intensity=Intensity("scale", 0, 255, (0.5,), (0.25,)),
    )
    rgb = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    found = ulu.segment(Volume(rgb, channels=3), model).labels
    assert found.shape == (90, 120)
    assert set(np.unique(found)) == {0, 1}
    assert ulu.segment(rgb[..., 0], model).labels.shape == (90, 120)


@pytest.mark.parametrize("factor", [1e-8, 1.0, 1e30])
def test_the_unit_of_the_grey_values_does_not_matter(tmp_path: Path, factor: float) -> None:
    model = small_model(tmp_path / "m", seed=3)
    array = np.random.default_rng(0).normal(100, 30, (40, 40, 40))
    expected = ulu.segment(array, model).labels
    assert len(np.unique(expected)) > 1
    assert (ulu.segment(array * factor, model).labels == expected).mean() > 0.999


def test_values_that_single_precision_cannot_hold_are_refused(brain: ulu.Model) -> None:
    with pytest.raises(ulu.InputError, match="infinite"):
        ulu.segment(np.random.default_rng(0).normal(size=(20, 20, 20)) * 1e40, brain)


@pytest.mark.parametrize("array", [np.ones((4, 4, 4), complex), np.full((4, 4, 4), "a")])
def test_what_is_no_number_is_refused(brain: ulu.Model, array: np.ndarray) -> None:
    with pytest.raises(ulu.InputError, match="real numbers"):
        ulu.segment(array, brain)


def test_a_slice_is_refused_by_a_3d_model(brain: ulu.Model) -> None:
    with pytest.raises(ulu.InputError, match="for 2D models"):
        ulu.segment(np.random.default_rng(0).normal(size=(20, 20, 20)), brain, slice=3)


def test_a_2d_image_is_refused_by_a_3d_model(brain: ulu.Model) -> None:
    with pytest.raises(ulu.InputError, match="2D image"):
        ulu.segment(np.random.default_rng(0).normal(size=(50, 50)), brain)


def test_a_slice_of_a_dicom_series_is_told_from_a_picture(brain: ulu.Model) -> None:
    plane = Volume(np.arange(9.0).reshape(3, 3), source=Source(format="dicom"))
    with pytest.raises(ulu.InputError, match="found a 2D image; give the folder with the whole series"):
        ulu.segment(plane, brain)


@pytest.mark.parametrize(
    "box",
    [
        ((0, 5), (0, 5)),
        ((0, 5), (0, 5), (3, 3)),
        ((-1, 5), (0, 5), (0, 5)),
        ((0, 99), (0, 5), (0, 5)),
        (0, 5, 0),
        ((0.5, 3), (0, 5), (0, 5)),
    ],
)
def test_a_box_that_does_not_fit_is_refused(brain: ulu.Model, box: tuple) -> None:
    with pytest.raises(ulu.InputError, match="box"):
        ulu.segment(np.random.default_rng(0).normal(size=(20, 20, 20)), brain, box=box)


def test_a_step_of_nothing_is_refused(brain: ulu.Model) -> None:
    with pytest.raises(ulu.InputError, match="step"):
        ulu.segment(np.random.default_rng(0).normal(size=(20, 20, 20)), brain, step=0)


def test_progress_comes_after_each_window_and_closing_cancels_within_one(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m", seed=3)
    image = Volume(np.random.default_rng(0).normal(size=(80, 80, 80)).astype(np.float32))
    work = ulu.Session().segment(image, ulu.Request(model))
    seen = [next(work) for _ in range(5)]
    work.close()
    assert seen[0] == Progress("Preparing", 0, 1)
    assert [e.done for e in seen[1:]] == [0, 1, 2, 3]
    assert seen[-1].total == 64


def test_volumes_with_a_single_slice_or_row_come_back_whole(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m", spacing=(1.0, 1.0, 1.0))
    for shape in ((1, 40, 50), (40, 1, 50), (3, 2, 1)):
        image = Volume(np.random.default_rng(0).normal(size=shape).astype(np.float32), scanner())
        assert ulu.segment(image, model).labels.shape == shape


def test_the_same_session_serves_another_model(tmp_path: Path) -> None:
    session = ulu.Session()
    image = Volume(np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float32))
    first, second = (small_model(tmp_path / str(n), seed=n) for n in (3, 4))
    labels = [finish(session.segment(image, ulu.Request(m))).labels for m in (first, second, first)]
    np.testing.assert_array_equal(labels[0], labels[2])
    assert (labels[0] != labels[1]).any()
