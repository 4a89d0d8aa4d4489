"""The sample images are what their README says they are."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from ultralightunet import Volume
from ultralightunet.io import read_image

HEAD = ((181, 217, 181), (1.0, 1.0, 1.0), "RAS")
CROP = ((36, 52, 36), (1.0, 1.0, 1.0), "RAS")
THICK_1 = ((25, 256, 256), (6.5, 0.78125, 0.78125), "LAS")
THICK_2 = ((23, 256, 256), (6.5, 0.78125, 0.78125), "LAS")
SAMPLES = {
    "colin27_t1.nii.gz": HEAD,
    "colin27_brain_mask.nii.gz": HEAD,
    "colin27_hippocampus_left.nii.gz": CROP,
    "colin27_hippocampus_right.nii.gz": CROP,
    "tumour_mri_1.nrrd": THICK_1,
    "tumour_mri_1_tumour.nrrd": THICK_1,
    "tumour_mri_2.nrrd": THICK_2,
    "tumour_mri_2_tumour.nrrd": THICK_2,
}
MASKS = {"colin27_brain_mask.nii.gz": "colin27_t1.nii.gz"} | {f"tumour_mri_{n}_tumour.nrrd": f"tumour_mri_{n}.nrrd" for n in (1, 2)}
TEXT_FIELDS_OF_NIFTI = ("descrip", "aux_file", "db_name", "intent_name")
KEYS_OF_A_BARE_NRRD = {"ITK_InputFilterName", "ITK_original_direction", "ITK_original_spacing", "NRRD_space"}


def test_the_readme_names_every_file_with_its_checksum(sample_data: Path) -> None:
    named = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", (sample_data / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name: checksum for checksum, name in named.items()} == {
        name: hashlib.sha256((sample_data / name).read_bytes()).hexdigest() for name in SAMPLES
    }


def test_nothing_else_lies_beside_them_and_all_is_small(sample_data: Path) -> None:
    files = {path.name: path.stat().st_size for path in sample_data.iterdir()}
    assert files.keys() - SAMPLES.keys() == {"README.md", "LICENSE-colin27.txt", "LICENSE-pyradiomics.txt"}
    assert sum(files.values()) < 10e6


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_opens_on_its_grid(sample_data: Path, name: str) -> None:
    shape, spacing, orientation = SAMPLES[name]
    volume = read_image(sample_data / name)
    assert volume.shape == shape
    assert volume.spacing == pytest.approx(spacing)
    assert "".join(nib.aff2axcodes(volume.affine)) == orientation
    assert volume.channels == 1


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hippocampus_lies_where_it_lies_in_the_whole_head(sample_data: Path, side: str) -> None:
    head, part = (read_image(sample_data / f"colin27_{name}.nii.gz") for name in ("t1", f"hippocampus_{side}"))
    i, j, k = np.rint(np.linalg.solve(head.affine, part.affine[:, 3])[:3]).astype(int)
    np.testing.assert_array_equal(head.array[k : k + 36, j : j + 52, i : i + 36], part.array)
    assert (part.affine[0, 3] < -20) == (side == "left")


@pytest.mark.parametrize(("mask", "image"), MASKS.items())
def test_a_mask_marks_something_bright_on_the_grid_of_its_image(sample_data: Path, mask: str, image: str) -> None:
    marked, volume = read_image(sample_data / mask), read_image(sample_data / image)
    np.testing.assert_allclose(marked.affine, volume.affine, atol=1e-9)
    assert set(np.unique(marked.array)) == {0, 1}
    assert volume.array[marked.array == 1].mean() > 1.5 * volume.array[marked.array == 0].mean()


@pytest.mark.parametrize("name", ["tumour_mri_1.nrrd", "tumour_mri_2.nrrd"])
def test_a_tumour_mri_lies_as_colin27_does_and_not_upside_down_or_back_to_front(sample_data: Path, name: str) -> None:
    reference, head = _coarse(read_image(sample_data / "colin27_t1.nii.gz")), _coarse(read_image(sample_data / name))
    likeness = {flip: np.corrcoef(reference.ravel(), np.flip(head, flip).ravel())[0, 1] for flip in ((), (0,), (1,), (0, 1))}
    assert max(likeness, key=likeness.__getitem__) == ()


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(".nii.gz")])
def test_a_nifti_header_says_nothing_in_free_text(sample_data: Path, name: str) -> None:
    header = nib.load(sample_data / name).header
    assert {field: header[field].item() for field in TEXT_FIELDS_OF_NIFTI} == dict.fromkeys(TEXT_FIELDS_OF_NIFTI, b"")
    assert len(header.extensions) == 0
    assert header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(".nrrd")])
def test_an_nrrd_header_says_nothing_but_geometry(sample_data: Path, name: str) -> None:
    image = sitk.ReadImage(str(sample_data / name))
    keys = {key for key in image.GetMetaDataKeys() if not key.startswith("NRRD_kinds")}
    assert keys <= KEYS_OF_A_BARE_NRRD


def _coarse(volume: Volume) -> np.ndarray:
    """What is brighter than the air, on 24^3 points 8 mm apart around its middle; k goes up, j forward, i to the right."""
    bright = volume.array > np.percentile(volume.array, 60)
    image = sitk.GetImageFromArray(bright.astype(np.float32))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(lps[:3, 3])
    image.SetDirection((lps[:3, :3] / volume.spacing[::-1]).ravel())
    inside = np.argwhere(bright)[:, ::-1]
    middle = lps[:3, :3] @ inside.mean(0) + lps[:3, 3]
    axes = np.diag([-1.0, -1.0, 1.0])
    origin = middle - axes @ np.full(3, 8.0 * 23 / 2)
    return sitk.GetArrayFromImage(sitk.Resample(image, [24] * 3, sitk.Transform(), sitk.sitkLinear, origin, [8.0] * 3, axes.ravel()))
