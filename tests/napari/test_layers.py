from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from napari_ultralight.layers.conversion import Picture, attributes_of, segmentation_of
from napari_ultralight.layers.grid import KEY, Grid
from tests.io_files import random_affine
from tests.napari.conftest import grey
from ultralightunet.errors import InputError
from ultralightunet.models import LabelClass
from ultralightunet.volume import Segmentation, Volume

CLASSES = (
    LabelClass(0, "background", (0, 0, 0)),
    LabelClass(1, "liver", (200, 30, 30), "10200004"),
    LabelClass(2, "tumour", (20, 200, 30)),
)


def labelled(picture: Picture) -> tuple[Segmentation, Layer]:
    """Labels as the core returns them for a picture, and their layer."""
    volume = picture.volume()
    labels = (np.random.default_rng(1).integers(0, 3, volume.shape)).astype(np.uint8)
    segmentation = Segmentation(labels, volume.affine, CLASSES, volume.has_spacing, volume.source, "abdomen@1.0.0", {"engine": "openvino"})
    return segmentation, Layer.create(*picture.labels_layer(segmentation, name="labels"))


def test_a_layer_with_a_scale_has_that_spacing() -> None:
    layer = Image(grey(), scale=(3, 0.8, 0.5), translate=(10, 20, 30), units="mm")
    volume = Picture.of(layer).volume()
    assert volume.spacing == pytest.approx((3, 0.8, 0.5))
    assert volume.affine[:3, 3] == pytest.approx((30, 20, 10))
    assert volume.has_spacing
    assert np.array_equal(volume.array, layer.data)


def test_a_layer_with_an_affine_keeps_it_in_the_order_of_the_core() -> None:
    affine = random_affine(np.random.default_rng(4))
    reverse = np.eye(4)[[2, 1, 0, 3]]
    layer = Image(grey(), affine=reverse @ affine @ reverse)
    assert np.allclose(Picture.of(layer).volume().affine, affine)


def test_micrometres_become_millimetres() -> None:
    layer = Image(grey(), scale=(500, 250, 250), units="um")
    assert Picture.of(layer).volume().spacing == pytest.approx((0.5, 0.25, 0.25))


def test_an_array_without_any_scale_has_no_spacing() -> None:
    assert not Picture.of(Image(grey())).volume().has_spacing
    assert Picture.of(Image(grey(), scale=(2, 1, 1))).volume().has_spacing


def test_dask_is_not_computed_before_the_volume_is_asked_for() -> None:
    computed = []

    def block(block_info: dict | None = None) -> np.ndarray:
        computed.append(1)
        return np.ones((4, 40, 36), np.float32)

    data = da.map_blocks(block, chunks=((4,) * 6, (40,), (36,)), dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    layer = Image(data, contrast_limits=(0, 1))
    before = len(computed)
    picture = Picture.of(layer)
    assert len(computed) == before
    assert picture.volume().array.shape == (24, 40, 36)
    assert len(computed) == before + 6


def test_a_multiscale_layer_is_taken_at_full_resolution() -> None:
    full = grey((32, 64, 64))
    layer = Image([full, full[::2, ::2, ::2]], multiscale=True)
    assert np.array_equal(Picture.of(layer).volume().array, full)


def test_a_colour_picture_has_three_channels_and_no_opacity() -> None:
    rgba = np.random.default_rng(0).integers(0, 255, (30, 40, 4), dtype=np.uint8)
    volume = Picture.of(Image(rgba, rgb=True)).volume()
    assert (volume.channels, volume.shape) == (3, (30, 40))
    assert np.array_equal(volume.array, rgba[..., :3])


def test_of_a_time_series_the_time_point_in_view_is_taken_and_remembered() -> None:
    series = np.stack([grey(seed=n) for n in range(4)])
    layer = Image(series, scale=(1, 2, 1, 1))
    picture = Picture.of(layer, point=(2.2, 0, 0, 0), units=layer.units)
    assert np.array_equal(picture.volume().array, series[2])
    segmentation, labels = labelled(picture)
    assert labels.metadata[KEY]["index"] == [2]
    # At its own time and nowhere else.
    assert labels.data.shape == (1, 24, 40, 36)
    assert labels.data_to_world((0, 3, 5, 7)) == pytest.approx(layer.data_to_world((2, 3, 5, 7)))
    assert np.array_equal(segmentation_of(labels.data, attributes_of(labels)).labels, segmentation.labels)


def test_of_a_stack_of_colour_pictures_the_one_in_view_is_taken() -> None:
    film = np.random.default_rng(0).integers(0, 255, (5, 30, 40, 3), dtype=np.uint8)
    volume = Picture.of(Image(film, rgb=True), point=(3, 0, 0)).volume()
    assert np.array_equal(volume.array, film[3])


def test_the_slider_is_understood_in_its_own_unit() -> None:
    layer = Image(np.stack([grey((8, 8, 8), seed=n) for n in range(3)]), scale=(500, 1, 1, 1), units=("um", "mm", "mm", "mm"))
    millimetres = Image(np.zeros((2, 2)), units="mm").units[0]
    assert Picture.of(layer, point=(1.0, 0, 0, 0), units=(millimetres,) * 4).index == (2,)


def test_labels_lie_on_the_image_and_carry_names_and_colours() -> None:
    layer = Image(grey(), scale=(3, 0.8, 0.5), translate=(10, 20, 30), units="mm", axis_labels=("z", "y", "x"))
    _, labels = labelled(Picture.of(layer))
    assert np.allclose(labels.data_to_world((1, 2, 3)), layer.data_to_world((1, 2, 3)))
    assert (labels.units, labels.axis_labels) == (layer.units, layer.axis_labels)
    assert labels.get_color(1) == pytest.approx((200 / 255, 30 / 255, 30 / 255, 1), abs=1e-3)
    assert labels.colormap.map(np.array([0]))[0][3] == 0
    assert labels.colormap.map(np.array([9]))[0][3] == 1
    assert list(labels.features["class"]) == ["background", "liver", "tumour"]
    assert labels.metadata[KEY]["model"] == "abdomen@1.0.0"


def test_labels_of_a_rotated_layer_lie_on_it() -> None:
    layer = Image(grey(), scale=(2, 1, 1), rotate=30)
    _, labels = labelled(Picture.of(layer))
    assert np.allclose(labels.data_to_world((5, 6, 7)), layer.data_to_world((5, 6, 7)))


def test_labels_come_back_with_their_classes_on_the_grid_of_the_image() -> None:
    layer = Image(grey(), affine=random_affine(np.random.default_rng(2)))
    segmentation, labels = labelled(Picture.of(layer))
    found = segmentation_of(labels.data, attributes_of(labels))
    assert np.array_equal(found.labels, segmentation.labels)
    assert np.allclose(found.affine, segmentation.affine)
    assert (found.classes, found.model, found.facts) == (CLASSES, "abdomen@1.0.0", {"engine": "openvino"})


def test_labels_drawn_from_nothing_take_the_grid_of_the_image_they_cover() -> None:
    grid = Grid.upright(Volume(np.zeros((4, 5, 6)), random_affine(np.random.default_rng(3), oblique=False)))
    placed = {"scale": grid.shown_spacing, "translate": grid.shown_origin}
    image = Image(np.zeros(grid.shown_shape), metadata={KEY: grid.to_metadata()}, **placed)
    drawn = Labels(np.random.default_rng(0).integers(0, 3, grid.shown_shape).astype(np.uint8), **placed)
    found = segmentation_of(drawn.data, attributes_of(drawn), [image])
    assert np.array_equal(found.affine, grid.affine)
    assert np.array_equal(found.labels, grid.to_native(drawn.data))


def test_labels_over_time_are_refused_with_a_hint() -> None:
    drawn = Labels(np.zeros((3, 4, 5, 6), np.uint8))
    with pytest.raises(InputError, match="one time point"):
        segmentation_of(drawn.data, attributes_of(drawn))


def test_a_transform_that_flattens_the_image_is_refused() -> None:
    flat = np.array([[1, 1, 0, 0], [1, 1.00001, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    with pytest.raises(InputError, match="independent axes"):
        Picture.of(Image(grey(), affine=flat))
