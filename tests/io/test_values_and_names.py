"""What can be segmented at all, and what the results are called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.io_files import dicom_series, write_nii
from ultralightunet import InputError, Volume
from ultralightunet.io import SUPPORTED_SUFFIXES, base_name, check_values, output_paths, read_image


def test_good_values_pass_through_untouched() -> None:
    for dtype in (np.uint8, np.int16, np.float32):
        volume = Volume(np.arange(24).reshape(2, 3, 4).astype(dtype))
        assert check_values(volume) is volume
        assert check_values(volume, nan_fill=0) is volume


def test_double_precision_becomes_the_single_precision_that_the_network_computes_in() -> None:
    checked = check_values(Volume(np.linspace(0, 1, 24).reshape(2, 3, 4)))
    assert checked.array.dtype == np.float32
    np.testing.assert_array_equal(checked.array, np.linspace(0, 1, 24).reshape(2, 3, 4).astype(np.float32))


def test_missing_values_are_counted_or_filled_in_a_copy() -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    array[0, 0, :2] = np.nan, np.inf
    volume = Volume(array, np.diag([2, 2, 2, 1]))
    with pytest.raises(InputError, match=r"2 of 24 NaN or infinite; .*--nan-fill V"):
        check_values(volume)
    filled = check_values(volume, nan_fill=-5)
    np.testing.assert_array_equal(filled.array.ravel()[:4], [-5, -5, 2, 3])
    assert filled.array.dtype == np.float32
    np.testing.assert_array_equal(filled.affine, volume.affine)
    assert np.isnan(array[0, 0, 0])
    with pytest.raises(InputError, match="finite value to fill"):
        check_values(volume, nan_fill=np.nan)


def test_a_constant_image_holds_nothing_to_segment() -> None:
    for array in (np.full((2, 3, 4), 7, np.int16), np.zeros((2, 3)), np.full((2, 3), np.float32(1.5))):
        with pytest.raises(InputError, match="nothing to segment"):
            check_values(Volume(array))
    with pytest.raises(InputError, match="nothing to segment"):
        check_values(Volume(np.full((2, 3, 4), np.nan)), nan_fill=0)


def test_a_file_that_is_missing_empty_or_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text" * 99)
    (tmp_path / "empty").touch()
    for name, reason in {"none.nii": "found nothing at", "notes.txt": r"\.nii\.gz, .*found .*notes\.txt", "empty": "an empty file"}.items():
        with pytest.raises(InputError, match=reason):
            read_image(str(tmp_path / name))


def test_a_base_name_is_without_the_suffix_of_its_format(tmp_path: Path) -> None:
    names = {
        "scan.nii.gz": "scan",
        "scan.v2.NII": "scan.v2",
        "a/b.mhd": "b",
        "1.2.840.5": "1.2.840.5",
        ".nii": ".nii",
        "x.seg.nrrd": "x.seg",
    }
    assert {name: base_name(name) for name in names} == names
    (tmp_path / "series.nrrd").mkdir()
    assert base_name(tmp_path / "series.nrrd") == "series.nrrd"


def test_outputs_have_their_inputs_names_and_formats(tmp_path: Path) -> None:
    images = [tmp_path / name for name in ("a.nii", "b.nii.gz", "c.mhd", "d.nhdr", "e.jpg", "f.tif", "g.tif", "series")]
    for image in images[:5]:
        image.write_bytes(b"content does not matter here")
    tifffile.imwrite(images[5], np.zeros((6, 9), np.uint8))
    tifffile.imwrite(images[6], np.zeros((4, 6, 9), np.uint8), photometric="minisblack")
    dicom_series(images[7], np.zeros((2, 3, 4), np.int16))
    out = tmp_path / "out"
    expected = ["a.nii.gz", "b.nii.gz", "c.mha", "d.nrrd", "e.png", "f.png", "g.tif", "series.nii.gz"]
    assert output_paths(images, out) == dict(zip(images, (out / name for name in expected), strict=True))
    assert not out.exists()


def test_two_inputs_with_one_base_name_are_refused(tmp_path: Path) -> None:
    for name in ("one/scan.nii", "two/scan.nii.gz", "two/SCAN.mha", "one/Sch\u00e4del.nii", "two/Scha\u0308del.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    # One name on macOS.
    with pytest.raises(InputError, match="inputs with different names"):
        output_paths([tmp_path / "one/Sch\u00e4del.nii", tmp_path / "two/Scha\u0308del.nii"], tmp_path / "out")
    for other in ("two/scan.nii.gz", "two/SCAN.mha", "one/scan.nii"):
        with pytest.raises(InputError, match="inputs with different names"):
            output_paths([tmp_path / "one/scan.nii", tmp_path / other], tmp_path / "out")


def test_labels_may_not_replace_the_images(tmp_path: Path) -> None:
    path = write_nii(tmp_path / "scan.nii.gz", np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(InputError, match="choose another folder"):
        output_paths([path], tmp_path)
    with pytest.raises(InputError, match="found nothing at"):
        output_paths([tmp_path / "none.nii"], tmp_path / "out")


def test_suffixes_name_the_formats() -> None:
    assert {"nifti", "analyze", "freesurfer", "nrrd", "metaimage", "dicom", "image"} == set(SUPPORTED_SUFFIXES.values())


SAY_WHAT_IS_WRONG = """
import logging, sys
logging.basicConfig(level=logging.WARNING)  # as the command line and hosts do
from ultralightunet import InputError
from ultralightunet.io import read_image
for path in sys.argv[1:]:
    try:
        read_image(path)
    except InputError as error:
        print(error)
"""


def test_nothing_but_the_sentence_reaches_the_terminal(tmp_path: Path, root: Path) -> None:
    good = write_nii(tmp_path / "good.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4)).read_bytes()
    tifffile.imwrite(tmp_path / "good.tif", np.zeros((9, 9), np.uint8))
    picture = (tmp_path / "good.tif").read_bytes()
    bad = {
        "magic.nii": good[:344] + bytes(4) + good[348:],
        "type.nii": good[:70] + b"\xff\x7f" + good[72:],
        "extension.nii": good[:348] + b"\x01\0\0\0" + b"\x07\0\0\0" * 99,
        "cut.nii": good[:-5],
        "cut.tif": picture[:100],
        "tags.tif": picture[:34] + bytes(range(200, 230)) + picture[64:],
        "text.mha": b"text\n" * 99,
        "text.nrrd": b"text\n" * 99,
        "text.dcm": b"text\n" * 99,
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", SAY_WHAT_IS_WRONG, *(str(tmp_path / name) for name in bad)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert done.stderr == ""
    # The odd extension does no harm to the image.
    assert len(done.stdout.splitlines()) == len(bad) - 1


def test_reading_nifti_imports_neither_itk_nor_anything_heavier(tmp_path: Path, root: Path) -> None:
    path = write_nii(tmp_path / "scan.nii.gz", np.zeros((2, 3, 4), np.uint8))
    code = f"import sys; from ultralightunet.io import read_image; read_image({str(path)!r}); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    for heavy in ("'SimpleITK'", "'torch'", "'monai'", "'tifffile'"):
        assert heavy not in loaded
