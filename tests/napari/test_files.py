"""Readers, the writer, samples and the manifest, as napari calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest

from napari_ultralight.files.reader import get_reader, read
from napari_ultralight.files.samples import sample_path
from napari_ultralight.layers.conversion import Picture
from napari_ultralight.layers.grid import KEY
from tests.io_files import blobs, dicom, dicom_series, random_affine, write_nii
from tests.napari.conftest import PLUGIN, grey
from ultralightunet.errors import InputError, OutputError
from ultralightunet.io import read_image, read_labels
from ultralightunet.models import LabelClass
from ultralightunet.volume import Segmentation


def opened(path: Path) -> list[Layer]:
    """The layers that napari makes of a file or folder through this plugin."""
    viewer = ViewerModel()
    return list(viewer.open(str(path), plugin=PLUGIN))


def labels_on(image: Layer, seed: int = 0) -> Layer:
    """A Labels layer as the dock adds it, with random labels."""
    picture = Picture.of(image)
    labels = blobs(np.random.default_rng(seed), picture.grid.shape, top=2)
    segmentation = Segmentation(
        labels, picture.grid.affine, (LabelClass(0, "none"), LabelClass(1, "one"), LabelClass(2, "two")), True, picture.grid.source
    )
    return Layer.create(*picture.labels_layer(segmentation, name="labels"))


def test_the_manifest_is_valid(root: Path) -> None:
    manifest = PluginManifest.from_file(root / "napari.yaml")
    manifest.validate_imports()
    assert manifest.name == PLUGIN


@pytest.mark.parametrize(
    "name", ["IM0001", "00000001", "A", "slice", "1.2.840.113619.2.55", "2.25.7.1", "MR.1.2.840.9", "dicom file of yesterday"]
)
def test_a_dicom_file_without_a_suffix_opens_by_its_content(plugin: PluginManager, tmp_path: Path, name: str) -> None:
    dicom(tmp_path / name, np.arange(12, dtype=np.int16).reshape(3, 4))
    viewer = ViewerModel()
    (layer,) = viewer.open(str(tmp_path / name), plugin=None)
    assert layer.source.reader_plugin == PLUGIN
    assert layer.data.shape == (3, 4)


@pytest.mark.parametrize("name", ["README", "photo.tif", "photo.jpeg", "film.mp4", "scan.1.png", "data.h5", "photo.webp"])
def test_no_other_file_is_taken_for_dicom(plugin: PluginManager, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no DICOM" * 99)
    assert get_reader(str(tmp_path / name)) is None
    if "." in name:
        assert PLUGIN not in [reader.plugin_name for reader in plugin.iter_compatible_readers([str(tmp_path / name)])]


def test_a_cd_opens_with_all_its_series(plugin: PluginManager, tmp_path: Path) -> None:
    for n in range(2):
        deep = tmp_path / "cd" / "PAT0" / "STU0" / f"SER{n}"
        dicom_series(deep, np.full((3, 4, 5), n, np.int16), SeriesInstanceUID=f"1.{n}", SeriesDescription=f"series {n}")
    dicom(tmp_path / "cd" / "DICOMDIR", np.zeros((1, 1), np.int16), SOPClassUID="1.2.840.10008.1.3.10")
    assert [layer.name for layer in opened(tmp_path / "cd")] == ["cd series 0", "cd series 1"]


def test_the_samples_are_real_heads_that_stand_upright(plugin: PluginManager) -> None:
    viewer = ViewerModel()
    for key in ("colin27", "colin27_hippocampus", "tumour_mri_1", "tumour_mri_2"):
        (layer,) = viewer.open_sample(PLUGIN, key)
        assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
        assert layer.axis_labels == ("z", "y", "x")
    head = viewer.layers[0].data
    # The top of a head is air on all sides, its neck is not.
    assert head[2].mean() < head[-3].mean()


def test_a_missing_sample_is_told() -> None:
    with pytest.raises(InputError, match="install"):
        sample_path("no_such_file.nii.gz")


@pytest.mark.parametrize("seed", range(4))
def test_an_oblique_image_is_shown_to_scale_and_read_back_as_it_was(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    array, affine = random.normal(size=(6, 7, 8)).astype(np.float32), random_affine(random)
    (layer,) = opened(write_nii(tmp_path / "scan.nii.gz", array, affine))
    volume = Picture.of(layer).volume()
    assert np.array_equal(volume.array, array)
    assert np.allclose(volume.affine, affine, atol=1e-4)
    assert sorted(layer.scale) == pytest.approx(sorted(volume.spacing))
    assert layer.metadata[KEY]["source"]["format"] == "nifti"


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_saved_labels_lie_on_the_voxels_of_the_file_that_was_opened(tmp_path: Path, suffix: str) -> None:
    random = np.random.default_rng(5)
    affine = random_affine(random)
    (image,) = opened(write_nii(tmp_path / "scan.nii.gz", random.normal(size=(6, 7, 8)).astype(np.float32), affine))
    layer = labels_on(image)
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0])), 2)
    written = layer.save(str(tmp_path / f"labels{suffix}"), plugin=PLUGIN)
    assert written == [str(tmp_path / f"labels{suffix}")]
    found = read_labels(written[0])
    assert np.array_equal(found.labels, Picture.of(image).grid.to_native(layer.data))
    assert np.allclose(found.affine, affine, atol=1e-4)


def test_napari_offers_the_writer_for_labels_by_their_suffix(tmp_path: Path) -> None:
    (image,) = opened(write_nii(tmp_path / "scan.nii.gz", grey((6, 7, 8))))
    viewer = ViewerModel()
    viewer.add_layer(labels_on(image))
    assert viewer.layers.save(str(tmp_path / "labels.nii.gz")) == [str(tmp_path / "labels.nii.gz")]


def test_labels_of_a_layer_from_another_reader_keep_its_scale(tmp_path: Path) -> None:
    layer = labels_on(Image(grey((6, 7, 8)), scale=(3, 2, 1), units="mm"))
    layer.save(str(tmp_path / "labels.nii.gz"), plugin=PLUGIN)
    found = read_labels(tmp_path / "labels.nii.gz")
    assert np.array_equal(found.labels, layer.data)
    assert found.spacing == pytest.approx((3, 2, 1))


def test_flat_labels_are_saved_as_a_picture(tmp_path: Path) -> None:
    layer = labels_on(Image(grey((30, 40))))
    layer.save(str(tmp_path / "labels.png"), plugin=PLUGIN)
    assert np.array_equal(read_labels(tmp_path / "labels.png").labels, layer.data)


def test_labels_never_replace_their_image(tmp_path: Path) -> None:
    path = write_nii(tmp_path / "scan.nii.gz", grey((6, 7, 8)))
    (image,) = opened(path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="another name"):
        labels_on(image).save(str(path), plugin=PLUGIN)
    assert path.read_bytes() == before


@pytest.mark.parametrize("scaled", [False, True])
def test_a_time_series_has_a_slider_for_time(tmp_path: Path, scaled: bool) -> None:
    volumes = np.stack([grey((4, 5, 6), seed=n).round() for n in range(3)]).astype(np.int16)
    image = nib.Nifti1Image(volumes.T, np.diag([-2.0, 2.0, 3.0, 1.0]))
    if scaled:
        image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "series.nii.gz")
    (layer,) = opened(tmp_path / "series.nii.gz")
    assert layer.data.shape == (3, 4, 5, 6)
    assert layer.axis_labels == ("t", "z", "y", "x")
    assert layer.scale == pytest.approx((1, 3, 2, 2))
    for time in range(3):
        expected = read_image(tmp_path / "series.nii.gz", volume_index=time)
        found = Picture.of(layer, point=(time, 0, 0, 0)).volume()
        assert np.array_equal(found.array, expected.array)
        assert np.array_equal(found.affine, expected.affine)


def test_an_nrrd_series_has_a_slider_for_time(tmp_path: Path) -> None:
    import SimpleITK as sitk

    volumes = np.stack([grey((4, 5, 6), seed=n) for n in range(3)])
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(volume) for volume in volumes]), str(tmp_path / "series.nrrd"))
    (layer,) = opened(tmp_path / "series.nrrd")
    assert np.array_equal(Picture.of(layer, point=(2, 0, 0, 0)).volume().array, volumes[2])


def test_a_dicom_folder_opens_as_one_volume(tmp_path: Path) -> None:
    stack = blobs(np.random.default_rng(0), (5, 8, 9), dtype=np.int16) * 100
    dicom_series(tmp_path / "series", stack)
    (layer,) = opened(tmp_path / "series")
    assert np.array_equal(Picture.of(layer).volume().array, stack)
    assert layer.scale == pytest.approx((2.5, 0.7, 0.5))
    # DICOM's rows and columns run as napari shows them; its slices run from foot to head.
    assert np.array_equal(layer.data[0], stack[-1])


def test_a_folder_with_two_series_opens_as_two_layers_with_their_names(tmp_path: Path) -> None:
    for name, value in (("T1", 100), ("T2", 200)):
        stack = blobs(np.random.default_rng(value), (4, 8, 9), dtype=np.int16) * value
        dicom_series(tmp_path, stack, names=[f"{name}_{n}.dcm" for n in range(4)], SeriesInstanceUID=f"1.2.{value}", SeriesDescription=name)
    layers = opened(tmp_path)
    assert sorted(layer.name.split()[-1] for layer in layers) == ["T1", "T2"]


def test_a_folder_of_folders_is_told_to_be_one(tmp_path: Path) -> None:
    dicom_series(tmp_path / "series", blobs(np.random.default_rng(0), (3, 8, 9), dtype=np.int16))
    with pytest.raises(InputError, match="series"):
        opened(tmp_path)


def test_only_medical_formats_are_claimed(tmp_path: Path) -> None:
    assert get_reader(str(tmp_path / "picture.png")) is None
    assert get_reader(str(tmp_path / "stack.tif")) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(tmp_path / "a.nii"), str(tmp_path / "b.png")]) is None
    assert get_reader(str(tmp_path / "SCAN.NII.GZ")) is read


@pytest.mark.parametrize("content", [b"", b"this is text, not an image", b"\x1f\x8b\x08\x00 cut short"])
def test_a_damaged_file_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected .* found"):
        opened(path)


def test_freesurfer_and_analyze_open_upright(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 100, (4, 5, 6)).astype(np.int16)
    nib.save(nib.freesurfer.MGHImage(array, random_affine(np.random.default_rng(0), oblique=False)), tmp_path / "head.mgz")
    nib.save(nib.AnalyzeImage(array, np.diag([2, 3, 4, 1])), tmp_path / "old.img")
    for name in ("head.mgz", "old.hdr", "old.img"):
        (layer,) = opened(tmp_path / name)
        assert layer.name == name[:-4]
        assert np.sort(layer.data, axis=None).tolist() == np.sort(array, axis=None).tolist()


def test_what_is_to_be_known_of_a_header_is_shown(tmp_path: Path) -> None:
    write_nii(tmp_path / "scan.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4), pixdim=[1, 2, 2, 2, 0, 0, 0, 0])
    data = bytearray((tmp_path / "scan.nii").read_bytes())
    data[76:92] = np.array([1, 2, 2, 2], "<f4").tobytes()
    (tmp_path / "scan.nii").write_bytes(data)
    before = len(notification_manager.records)
    opened(tmp_path / "scan.nii")
    (said,) = [record.message for record in notification_manager.records[before:]]
    assert said.startswith("scan.nii: the header contradicts itself")


def test_a_bright_speck_does_not_darken_the_head(tmp_path: Path) -> None:
    array = grey((20, 30, 30))
    array[0, 0, 0] = 1e6
    (layer,) = opened(write_nii(tmp_path / "scan.nii.gz", array))
    assert layer.contrast_limits[1] < 1000


def test_a_labels_layer_drawn_on_an_image_is_saved_on_its_grid(tmp_path: Path, make_napari_viewer: Any) -> None:
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    viewer = make_napari_viewer()
    (image,) = viewer.open(str(write_nii(tmp_path / "scan.nii.gz", grey((6, 7, 8)), affine)), plugin=PLUGIN)
    drawn = viewer.add_labels(np.zeros(image.data.shape, np.uint8), scale=image.scale, translate=image.translate)
    drawn.data[1, 2, 3] = 1
    assert isinstance(drawn, Labels)
    drawn.save(str(tmp_path / "labels.nii.gz"), plugin=PLUGIN)
    found = read_labels(tmp_path / "labels.nii.gz")
    assert np.allclose(found.affine, affine)
    assert np.array_equal(found.labels, Picture.of(image).grid.to_native(drawn.data))
