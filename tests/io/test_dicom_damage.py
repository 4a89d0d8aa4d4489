"""However a DICOM file is damaged, it is read as it was stored or refused in one sentence: nothing crashes, hangs or takes much memory."""

from __future__ import annotations

import io
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from tests.io_files import FILM, dicom, enhanced
from ultralightunet import InputError
from ultralightunet.io import read_image
from ultralightunet.io.dicom import walk
from ultralightunet.io.dicom.elements import read_elements
from ultralightunet.io.dicom.layout import Layout, layout_of
from ultralightunet.io.dicom.picture import PictureDecoder

GREY = np.random.default_rng(6).integers(0, 500, (4, 12, 14)).astype(np.uint16)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of several kinds."""
    folder = tmp_path_factory.mktemp("whole")
    plain = {"PixelSpacing": [1, 2], "ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    made = {
        "explicit": dicom(folder / "explicit", GREY[0], **plain),
        "implicit": dicom(folder / "implicit", GREY[0], TransferSyntaxUID=ImplicitVRLittleEndian, **plain),
        "deflated": dicom(folder / "deflated", GREY[0], TransferSyntaxUID=DeflatedExplicitVRLittleEndian, **plain),
        "film": dicom(folder / "film", GREY, SOPClassUID=FILM),
        "enhanced": enhanced(folder / "enhanced", GREY, [0, 1, 2, 3]),
    }
    packed = pydicom.dcmread(made["film"])
    packed.compress(RLELossless)
    packed.save_as(folder / "run lengths")
    made["run lengths"] = folder / "run lengths"
    return {name: path.read_bytes() for name, path in made.items()}


KINDS = ("explicit", "implicit", "deflated", "film", "enhanced", "run lengths")
# No subnormal numbers: the compiled layers of `training/fused`, which other tests load, flush them to zero in the whole process.
DAMAGE = st.lists(st.tuples(st.floats(0, 0.999, allow_subnormal=False), st.integers(0, 255)), max_size=4)


@settings(max_examples=400)
@given(kind=st.sampled_from(KINDS), changes=DAMAGE, kept=st.floats(0.05, 1))
@example(kind="film", changes=[], kept=1.0)
def test_a_damaged_file_is_read_with_as_many_pixels_as_it_holds_or_refused(
    whole: dict[str, bytes], tmp_path: Path, kind: str, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(whole[kind])
    for where, value in changes:
        data[128 + int(where * (len(data) - 128))] = value
    path = tmp_path / "damaged.dcm"
    path.write_bytes(data[: int(kept * len(data))])
    sentence = ""
    try:
        volume = read_image(path)
    except InputError as error:
        sentence = str(error)
    if sentence:
        assert "\n" not in sentence
        assert str(path) in sentence
        # What can be foreseen is told in words of its own, not by the border that catches the rest.
        assert "found a damaged or other file" not in sentence
        return
    assert volume.array.size == (GREY if kind in ("film", "enhanced", "run lengths") else GREY[0]).size
    if not changes:
        np.testing.assert_array_equal(volume.array.ravel(), GREY.ravel()[: volume.array.size])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_sequences_without_end_and_without_bottom_are_refused(tmp_path: Path, syntax: str) -> None:
    path = dicom(tmp_path / "x.dcm", GREY[0], TransferSyntaxUID=syntax)
    data = path.read_bytes()
    # In front of the image's size lies a private sequence of undefined length.
    where = data.index(b"\x28\x00\x02\x00")
    opened = (
        b"\x21\x00\x10\x10" + (b"SQ\0\0" if syntax == ExplicitVRLittleEndian else b"") + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
    )
    for depth, said in ((1, "cut off|longer|other than"), (60, "too deep")):
        path.write_bytes(data[:where] + opened * depth + data[where:])
        with pytest.raises(InputError, match=said):
            read_image(path)


def test_more_elements_than_any_image_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dicom(tmp_path / "x.dcm", GREY[0])
    monkeypatch.setattr(walk, "_MOST", 10)
    with pytest.raises(InputError, match="more elements than any image"):
        read_image(path)


def test_a_small_deflated_file_cannot_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULTRALIGHT_MAX_MEMORY", "1M")
    zeros = np.zeros((2000, 2000), np.uint8)
    path = dicom(tmp_path / "x.dcm", zeros, TransferSyntaxUID=DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 50_000
    with pytest.raises(InputError, match="--max-memory"):
        read_image(path)


def test_a_picture_that_ends_its_decoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dicom(tmp_path / "x.dcm", GREY[0].astype(np.uint8))
    layout = Layout(1, 12, 14, 1, 8, 8, 7, False, False, "MONOCHROME2", False)
    file = io.BytesIO()
    Image.fromarray(GREY[0].astype(np.uint8)).save(file, "JPEG")
    with PictureDecoder() as decoder:
        decoder.unpack(file.getvalue(), layout, "1.2.840.10008.1.2.4.50", path)
        assert decoder._process is not None
        decoder._process.kill()
        with pytest.raises(InputError, match="x.dcm: its picture cannot be unpacked"):
            decoder.unpack(file.getvalue(), layout, "1.2.840.10008.1.2.4.50", path)
        # The next picture gets a decoder of its own.
        assert decoder.unpack(file.getvalue(), layout, "1.2.840.10008.1.2.4.50", path).shape == (12, 14)


def test_nothing_is_left_behind_of_what_was_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name, is_sound in (("MR_small_jp2klossless.dcm", True), ("JPEG2000-embedded-sequence-delimiter.dcm", False)):
        with nullcontext() if is_sound else pytest.raises(InputError):
            read_image(get_testdata_file(name))
        assert list((tmp_path / "tmp").iterdir()) == []


def test_damaged_pictures_are_refused_or_keep_their_size_and_nothing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    random, path = np.random.default_rng(7), tmp_path / "x.dcm"
    sentences = []
    with PictureDecoder() as decoder:
        for name in ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_gdcm_KY.dcm"):
            data = read_elements(Path(get_testdata_file(name)))
            good = next(generate_frames(pydicom.dcmread(get_testdata_file(name)).PixelData, number_of_frames=1))
            for _ in range(15):
                picture = bytearray(good)
                for where in random.integers(0, len(picture), 3):
                    picture[where] = random.integers(256)
                try:
                    assert decoder.unpack(bytes(picture), layout_of(data), data.syntax, path).shape == (100, 100, 3)
                except InputError as error:
                    sentences.append(str(error))
    assert len(sentences) > 20
    assert all(str(path) in sentence for sentence in sentences)
    assert capfd.readouterr() == ("", "")
