"""Layers that were cropped, thinned out, turned or split in napari: labels made on them lie where their voxels are, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from napari.layers.utils.stack_utils import split_channels, stack_to_images

from napari_ultralight.layers.conversion import Picture
from tests.io_files import random_affine, write_nii
from tests.napari.conftest import PLUGIN, click_segment, grey, labels_in, messages
from ultralightunet.errors import InputError
from ultralightunet.io import read_image


def opened(viewer: Any, tmp_path: Path, *, seed: int = 2, shape: tuple[int, ...] = (24, 40, 36), affine: Any = None) -> tuple[Any, Path]:
    """An image layer of a file whose axes run in other directions than the shown ones."""
    path = write_nii(tmp_path / "head.nii.gz", grey(shape), random_affine(np.random.default_rng(seed)) if affine is None else affine)
    (image,) = viewer.open(str(path), plugin=PLUGIN)
    return image, path


def derived(viewer: Any, image: Any, array: np.ndarray, *, start: tuple[int, ...] = (0, 0, 0), step: int = 1, **arguments: Any) -> Any:
    """A layer as plugins add one: other voxels, placed by hand, the metadata taken along."""
    translate = np.array(image.translate) + np.array(start) * image.scale
    arguments = {"scale": np.array(image.scale) * step, "translate": translate, "units": image.units, **arguments}
    return viewer.add_image(array, metadata=image.metadata, name="derived", **arguments)


def same_in_the_patient(part: Any, whole: Any) -> bool:
    """Whether every voxel of a part has the value that the whole image has at that place in the patient."""
    index = np.stack([*(axis.ravel() for axis in np.indices(part.shape)[::-1]), np.ones(part.array.size)])
    there = np.linalg.inv(whole.affine) @ part.affine @ index
    i, j, k = np.round(there[:3]).astype(int)
    return bool(np.allclose(there[:3], [i, j, k], atol=1e-2) and np.array_equal(whole.array[k, j, i], part.array.ravel()))


@pytest.mark.parametrize("seed", range(4))
def test_labels_of_a_crop_are_written_where_they_lie_in_the_patient(open_dock: Any, qtbot: Any, tmp_path: Path, seed: int) -> None:
    viewer, dock = open_dock(show=True)
    image, path = opened(viewer, tmp_path, seed=seed)
    crop = derived(viewer, image, np.asarray(image.data)[4:20, 3:33, 5:30].copy(), start=(4, 3, 5))
    assert same_in_the_patient(Picture.of(crop).volume(), read_image(path))
    assert dock.image.layer is crop
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    viewer.layers.selection.active = labels
    written = tmp_path / "labels.nii.gz"
    viewer.layers.save(str(written), selected=True, plugin=PLUGIN)
    found = nib.load(written)
    assert np.allclose(found.affine, Picture.of(crop).volume().affine, atol=1e-4)
    assert np.array_equal(np.asarray(found.dataobj).T, labels.data)
    assert messages() == []


def test_a_thinned_out_or_properly_placed_turned_layer_keeps_its_place(open_dock: Any, tmp_path: Path) -> None:
    viewer, _ = open_dock()
    image, path = opened(viewer, tmp_path)
    whole, array = read_image(path), np.asarray(image.data)
    thin = derived(viewer, image, array[::2, 1::2, ::2].copy(), start=(0, 1, 0), step=2)
    assert same_in_the_patient(Picture.of(thin).volume(), whole)
    # Turned by a quarter about z, and placed so that it is shown as before.
    scale, origin = np.array(image.scale), np.array(image.translate)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(scale) @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    affine[:3, 3] = origin + scale * (0, 0, array.shape[2] - 1)
    turned = np.rot90(array, axes=(1, 2)).copy()
    affine[:3, :3] = np.diag(scale) @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    layer = derived(viewer, image, turned, scale=(1, 1, 1), translate=(0, 0, 0), affine=affine)
    assert same_in_the_patient(Picture.of(layer).volume(), whole)


def test_a_duplicate_and_a_layer_that_was_moved_on_the_screen_are_the_file(open_dock: Any, tmp_path: Path) -> None:
    viewer, _ = open_dock()
    image, path = opened(viewer, tmp_path)
    viewer.layers.selection.active = image
    viewer.layers._duplicate_selected() if hasattr(viewer.layers, "_duplicate_selected") else None
    copy = type(image).create(*image.as_layer_data_tuple())
    viewer.add_layer(copy)
    copy.rotate = (10, 0, 0)
    filtered = derived(viewer, image, np.asarray(image.data) * 2 + 1)
    for layer in (copy, filtered):
        assert np.array_equal(Picture.of(layer).grid.affine, read_image(path).affine)


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(lambda array: array[:, ::-1], id="flipped"),
        pytest.param(lambda array: np.rot90(array, axes=(1, 2)), id="turned by a quarter"),
        pytest.param(lambda array: array.transpose(0, 2, 1), id="transposed"),
        pytest.param(lambda array: array[::-1, ::-1, ::-1], id="mirrored"),
    ],
)
def test_voxels_that_were_turned_in_place_are_refused(open_dock: Any, qtbot: Any, tmp_path: Path, turn: Any) -> None:
    viewer, dock = open_dock(show=True)
    image, _ = opened(viewer, tmp_path, shape=(24, 36, 36), affine=np.diag([-2.0, 2.0, 3.0, 1.0]))
    derived(viewer, image, turn(np.asarray(image.data)).copy())
    click_segment(dock, qtbot)
    assert labels_in(viewer) == []
    assert "found it turned or mirrored" in messages()[-1]


def test_a_crop_that_does_not_say_where_it_lies_is_refused(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock(show=True)
    image, _ = opened(viewer, tmp_path)
    crop = np.asarray(image.data)[4:20, 3:33, 5:30].copy()
    for arguments in ({"scale": (1, 1, 1), "translate": (0, 0, 0)}, {"start": (3, 3, 5)}, {}):
        derived(viewer, image, crop, **arguments)
        click_segment(dock, qtbot)
        assert labels_in(viewer) == []
        assert "use the layer that it came from, with a box" in messages()[-1]


def test_a_stack_that_was_split_is_refused_and_a_series_that_was_split_is_not(open_dock: Any, tmp_path: Path) -> None:
    viewer, _ = open_dock()
    image, _ = opened(viewer, tmp_path)
    with pytest.raises(InputError, match="choose the layer that it came from"):
        Picture.of(stack_to_images(image, 0)[3])
    series = write_nii(tmp_path / "series.nii.gz", np.stack([grey(), grey(seed=1)]), random_affine(np.random.default_rng(3)))
    (image,) = viewer.open(str(series), plugin=PLUGIN)
    first = read_image(series, volume_index=0)
    for number, part in enumerate(stack_to_images(image, 0)):
        volume = Picture.of(part).volume()
        assert np.allclose(volume.affine, first.affine)
        assert np.array_equal(volume.array, read_image(series, volume_index=number).array)


def test_channels_of_a_colour_volume_keep_its_place(open_dock: Any, tmp_path: Path) -> None:
    viewer, _ = open_dock()
    image, path = opened(viewer, tmp_path)
    colour = viewer.add_image(
        np.stack([np.asarray(image.data)] * 3, -1).astype(np.uint8),
        rgb=True,
        scale=image.scale,
        translate=image.translate,
        metadata={"ultralight": {k: v for k, v in image.metadata["ultralight"].items() if k != "sample"}},
    )
    for data, arguments, _ in split_channels(colour.data, -1, scale=colour.scale, translate=colour.translate):
        part = viewer.add_image(data, scale=arguments["scale"], translate=arguments["translate"], metadata=colour.metadata)
        assert np.array_equal(Picture.of(part).grid.affine, read_image(path).affine)


def test_labels_that_were_cropped_keep_their_place_or_are_refused(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    image, path = opened(viewer, tmp_path)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    array = labels.data[4:20, 3:33, 5:30].copy()
    for start, is_refused in (((4, 3, 5), False), (None, True)):
        translate = (0, 0, 0) if start is None else np.array(labels.translate) + np.array(start) * labels.scale
        scale = (1, 1, 1) if start is None else labels.scale
        crop = viewer.add_labels(array, scale=scale, translate=translate, units=labels.units, metadata=labels.metadata)
        target = tmp_path / f"crop {is_refused}.nii.gz"
        if is_refused:
            with pytest.raises(InputError, match="use the layer that it came from"):
                crop.save(str(target), plugin=PLUGIN)
            continue
        crop.save(str(target), plugin=PLUGIN)
        found, whole = nib.load(target), read_image(path)
        index = np.argwhere(np.asarray(found.dataobj) == 1)
        there = np.linalg.inv(whole.affine) @ found.affine @ np.c_[index, np.ones(len(index))].T
        i, j, k = np.round(there[:3]).astype(int)
        native = Picture.of(image).grid.to_native(labels.data)
        assert len(index)
        assert (native[k, j, i] == 1).all()
