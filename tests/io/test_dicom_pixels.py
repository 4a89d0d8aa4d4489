"""Every pixel of a DICOM file is the one that was stored, or the file is refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.pixels import apply_color_lut
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from tests.io_files import FILM, dicom, dicom_series, enhanced
from ultralightunet import InputError
from ultralightunet.io import read_image

RANDOM = np.random.default_rng(3)
GREY = RANDOM.integers(-900, 4096, (16, 18)).astype(np.int16)
COLOUR = RANDOM.integers(0, 256, (16, 18, 3)).astype(np.uint8)

JPEG_BASELINE = UID("1.2.840.10008.1.2.4.50")
PLAIN_IN_FRAGMENTS = UID("1.2.840.10008.1.2.1.98")


def packed(path: Path, syntax: UID, frames: list[bytes], **tags: object) -> Path:
    """The file with its pixels replaced by packed ones, one fragment a frame."""
    return in_fragments(path, syntax, encapsulate(frames), **tags)


def in_fragments(path: Path, syntax: UID, pixels: bytes, **tags: object) -> Path:
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = syntax
    header.PixelData = pixels
    header["PixelData"].is_undefined_length = True
    for name, value in tags.items():
        setattr(header, name, value)
    header.save_as(path, enforce_file_format=True)
    return path


def picture(array: np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def run_lengths(path: Path) -> Path:
    header = pydicom.dcmread(path)
    header.compress(RLELossless)
    header.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"],
)
def test_other_transfer_syntaxes_equal_the_plain_one(name: str) -> None:
    plain = read_image(get_testdata_file("MR_small.dcm"))
    found = read_image(get_testdata_file(name))
    np.testing.assert_array_equal(found.array, plain.array)
    np.testing.assert_array_equal(found.affine, plain.affine)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_every_whole_number_comes_back_in_every_plain_syntax(tmp_path: Path, syntax: UID, dtype: type) -> None:
    limits = np.iinfo(dtype)
    array = np.array([[limits.min, limits.max, 1, 2, 77], [5, 0, 3, 100, 9]], dtype)
    stored = array.byteswap().view(array.dtype) if syntax == ExplicitVRBigEndian else array
    volume = read_image(dicom(tmp_path / "plain.dcm", stored, TransferSyntaxUID=syntax))
    np.testing.assert_array_equal(volume.array, array)


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_rle_32bit_2frame.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "examples_jpeg2k.dcm",
    ],
)
def test_colours_are_those_that_pydicom_finds(name: str) -> None:
    path = get_testdata_file(name)
    if name == "SC_rgb_jpeg_gdcm.dcm":
        # pydicom unpacks no lossless JPEG by itself; the picture is the same in run lengths.
        path = get_testdata_file("SC_rgb_rle.dcm")
    np.testing.assert_array_equal(read_image(get_testdata_file(name)).array, pydicom.dcmread(path).pixel_array)


def test_a_palette_is_looked_up() -> None:
    header = pydicom.dcmread(get_testdata_file("examples_palette.dcm"))
    expected = (apply_color_lut(header.pixel_array, header) >> 8).astype(np.uint8)
    np.testing.assert_array_equal(read_image(get_testdata_file("examples_palette.dcm")).array, expected)


def test_bits_that_do_not_count_are_left_out(tmp_path: Path) -> None:
    stored = np.array([[4095, 2048, 1, 0xF001]], np.uint16)
    for high, array in ((11, stored), (15, (stored << 4).astype(np.uint16))):
        volume = read_image(dicom(tmp_path / "12.dcm", array, BitsStored=12, HighBit=high))
        assert volume.array.tolist() == [[4095, 2048, 1, 1]]
        signed = dicom(tmp_path / "12.dcm", array.view(np.int16), BitsStored=12, HighBit=high)
        assert read_image(signed).array.tolist() == [[-1, -2048, 1, 1]]


def test_pictures_in_which_black_is_high_are_turned_round(tmp_path: Path) -> None:
    for array, expected in ((np.array([[0, 255]], np.uint8), [[255, 0]]), (np.array([[0, 100]], np.int16), [[-1, -101]])):
        assert read_image(dicom(tmp_path / "x.dcm", array, PhotometricInterpretation="MONOCHROME1")).array.tolist() == expected
    path = dicom(tmp_path / "x.dcm", np.array([[0, 4095]], np.uint16), PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    assert read_image(path).array.tolist() == [[4095, 0]]
    path = dicom(tmp_path / "x.dcm", np.array([[0, 1, 4000]], np.uint32), PhotometricInterpretation="MONOCHROME1")
    # Not near 2**32, where single precision would make neighbours equal.
    assert read_image(path).array.tolist() == [[-1, -2, -4001]]


@pytest.mark.parametrize(("modality", "expected"), [("CT", [-1024, 76]), ("PT", [-1024, 76]), ("CR", [3071, 1971])])
def test_measured_values_stay_what_they_are_whichever_way_round_they_are_shown(tmp_path: Path, modality: str, expected: list[int]) -> None:
    scale = {"RescaleSlope": 1, "RescaleIntercept": -1024, "BitsStored": 12, "HighBit": 11}
    path = dicom(tmp_path / "x.dcm", np.array([[0, 1100]], np.uint16), PhotometricInterpretation="MONOCHROME1", Modality=modality, **scale)
    assert read_image(path).array.tolist() == [expected]


def test_a_look_up_table_makes_real_values_of_stored_ones(tmp_path: Path) -> None:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [4, 1, 16])
    item.add_new("ModalityLUTType", "LO", "US")
    item.add_new("LUTData", "US", [10, 200, 3000, 40000])
    path = dicom(tmp_path / "x.dcm", np.array([[0, 1, 2, 3, 4, 9]], np.uint16), ModalityLUTSequence=[item])
    assert read_image(path).array.tolist() == [[10, 10, 200, 3000, 40000, 40000]]
    path = dicom(path, np.array([[1, 3]], np.uint16), ModalityLUTSequence=[item], PhotometricInterpretation="MONOCHROME1")
    assert read_image(path).array.tolist() == [[65525, 62535]]


def test_single_bits_are_unpacked(tmp_path: Path) -> None:
    bits = RANDOM.integers(0, 2, (3, 5, 7)).astype(np.uint8)
    raw = np.packbits(bits.ravel(), bitorder="little").tobytes()
    tags = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": raw + b"\0" * (len(raw) % 2)}
    np.testing.assert_array_equal(read_image(dicom(tmp_path / "x.dcm", bits, SOPClassUID=FILM, **tags)).array, bits)


def test_floating_point_pixels_are_read(tmp_path: Path) -> None:
    array = RANDOM.normal(size=(4, 5)).astype(np.float32)
    path = dicom(tmp_path / "x.dcm", array, PixelData=None, FloatPixelData=array.tobytes(), BitsStored=None, HighBit=None)
    np.testing.assert_array_equal(read_image(path).array, array)


def test_run_lengths_come_back_and_are_counted(tmp_path: Path) -> None:
    for array in (GREY, COLOUR, np.stack([GREY, GREY + 1]), (GREY % 7).astype(np.uint8)):
        path = run_lengths(dicom(tmp_path / "x.dcm", array, SOPClassUID=FILM))
        np.testing.assert_array_equal(read_image(path).array, array)
    packed_once = list(generate_fragments(pydicom.dcmread(path).PixelData))[1]
    for wrong in (packed_once[:-6], packed_once + bytes(8), bytes(200), b"\0\0", packed_once[:3]):
        with pytest.raises(InputError, match="its run lengths have|its run lengths make"):
            read_image(packed(path, RLELossless, [wrong]))


@pytest.mark.parametrize("frames", [1, 3])
def test_a_jpeg_is_shown_as_any_viewer_shows_it(tmp_path: Path, frames: int) -> None:
    arrays = [np.roll(COLOUR, n, axis=0) // 4 for n in range(frames)]
    jpegs = [picture(array, "JPEG", quality=90) for array in arrays]
    path = dicom(tmp_path / "x.dcm", np.stack(arrays), SOPClassUID=FILM)
    volume = read_image(packed(path, JPEG_BASELINE, jpegs, PhotometricInterpretation="YBR_FULL_422"))
    expected = np.stack([np.asarray(Image.open(io.BytesIO(jpeg))) for jpeg in jpegs]).astype(int)
    assert np.abs(volume.array - (expected if frames > 1 else expected[0])).max() <= 3


def test_a_frame_may_lie_in_several_fragments(tmp_path: Path) -> None:
    frames = [picture((np.roll(GREY, n, axis=0) + 900).astype(np.uint16), "JPEG2000", irreversible=False) for n in range(3)]
    path = dicom(tmp_path / "x.dcm", np.stack([GREY.view(np.uint16)] * 3), SOPClassUID=FILM)
    whole = read_image(packed(path, JPEG2000Lossless, frames)).array
    np.testing.assert_array_equal(whole, [np.roll(GREY, n, axis=0) + 900 for n in range(3)])
    split = read_image(in_fragments(path, JPEG2000Lossless, encapsulate(frames, fragments_per_frame=2, has_bot=True)))
    np.testing.assert_array_equal(split.array, whole)
    with pytest.raises(InputError, match="expected 3 packed frames, found 6 pieces .* no table"):
        read_image(in_fragments(path, JPEG2000Lossless, encapsulate(frames, fragments_per_frame=2, has_bot=False)))
    with pytest.raises(InputError, match="expected 4 frame.s. of 16 x 18, found 3 packed pieces"):
        read_image(packed(path, JPEG2000Lossless, frames, NumberOfFrames=4))


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_a_compressed_picture_is_never_taken_for_plain_pixels(tmp_path: Path, kind: str) -> None:
    array = RANDOM.integers(0, 256, (24, 30)).astype(np.uint8)
    path = packed(dicom(tmp_path / "x.dcm", array), JPEG_BASELINE if kind == "JPEG" else JPEG2000Lossless, [picture(array, kind)])
    data = bytearray(path.read_bytes())
    # One flipped bit ends the elements that tell of the compression before they begin.
    data[144] ^= 4
    path.write_bytes(data)
    with pytest.raises(InputError, match="720 bytes of plain pixels a frame"):
        read_image(path)


def test_plain_pixels_may_lie_in_fragments(tmp_path: Path) -> None:
    path = dicom(tmp_path / "x.dcm", np.stack([GREY, GREY + 1]), SOPClassUID=FILM)
    np.testing.assert_array_equal(
        read_image(packed(path, PLAIN_IN_FRAGMENTS, [GREY.tobytes(), (GREY + 1).tobytes()])).array, [GREY, GREY + 1]
    )
    with pytest.raises(InputError, match="found 574"):
        read_image(packed(path, PLAIN_IN_FRAGMENTS, [GREY.tobytes(), GREY.tobytes()[:-2]]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Rows": 32}, "expected 1152 bytes of pixels for 1 frame.s. of 32 x 18, found 576"),
        ({"Columns": 17}, "expected 544 bytes .* found 576"),
        ({"Rows": 2000, "Columns": 2000}, "found 576"),
        ({"Rows": 30000, "Columns": 30000}, "found 576"),
        ({"NumberOfFrames": 10}, "10 frame.s. of 16 x 18, found 576"),
        ({"NumberOfFrames": 10**8}, "found 100000000 frame.s."),
        ({"NumberOfFrames": 0}, "found 0 frame.s."),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "found 576"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "found 576"),
        ({"BitsStored": 20}, "found 20 of 16"),
        ({"HighBit": 3}, "up to bit 3"),
        ({"PhotometricInterpretation": "CMYK"}, "found CMYK"),
        ({"BitsAllocated": 0}, "found 16 of 0"),
        ({"Rows": None}, "no Rows"),
        ({"PixelData": None}, "found no pixels"),
        ({"RescaleSlope": 0}, "a slope and an intercept"),
    ],
)
def test_a_header_that_its_pixels_contradict_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_image(dicom(tmp_path / "x.dcm", GREY, **change))
    assert str(tmp_path / "x.dcm") in str(caught.value)


def test_padding_behind_the_pixels_is_allowed_if_it_is_empty() -> None:
    plain, padded = (read_image(get_testdata_file(name)) for name in ("MR_small.dcm", "MR_small_padded.dcm"))
    np.testing.assert_array_equal(plain.array, padded.array)


def test_a_slice_that_is_cut_off_is_never_filled_up(tmp_path: Path) -> None:
    dicom_series(tmp_path, RANDOM.integers(1, 500, (5, 16, 18)).astype(np.int16))
    header = pydicom.dcmread(tmp_path / "IM0003.dcm")
    header.PixelData = header.PixelData[:200]
    header.save_as(tmp_path / "IM0003.dcm")
    with pytest.raises(InputError, match="found 200 in .*IM0003.dcm: it is cut off"):
        read_image(tmp_path)


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = dicom(tmp_path / "whole.dcm", GREY).read_bytes()
    for length in range(200, len(whole), 7):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut.dcm"):
            read_image(tmp_path / "cut.dcm")


def test_enhanced_files_with_fewer_places_than_frames_are_refused(tmp_path: Path) -> None:
    path = enhanced(tmp_path / "enhanced.dcm", np.stack([GREY] * 4).astype(np.uint16), [0, 1, 2, 3])
    header = pydicom.dcmread(path)
    header.PerFrameFunctionalGroupsSequence = header.PerFrameFunctionalGroupsSequence[:3]
    header.save_as(path)
    with pytest.raises(InputError, match="each of its 4 frames is, found 3 places"):
        read_image(path)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_a_picture_that_is_damaged_or_another_than_the_header_tells_of_is_refused(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    syntax = JPEG_BASELINE if kind == "JPEG" else JPEG2000Lossless
    path, good = dicom(tmp_path / "x.dcm", COLOUR[..., 0]), picture(COLOUR[..., 0], kind)
    assert read_image(packed(path, syntax, [good])).shape == (16, 18)
    wrong = {
        "is cut off": good[: len(good) // 2],
        "has no beginning": bytes(200),
        "has 9 x 18 pixels": picture(COLOUR[:9, :, 0], kind),
        "of 3 x 8 bits": picture(COLOUR, kind),
    }
    for said, data in wrong.items():
        with pytest.raises(InputError, match=said):
            read_image(packed(path, syntax, [data]))
    # What the libraries that unpack it write on stderr stays there.
    assert capfd.readouterr() == ("", "")


def test_what_libjpeg_completes_by_itself_is_refused(tmp_path: Path) -> None:
    jpeg = bytearray(picture(COLOUR[..., 0], "JPEG", quality=95))
    start = jpeg.index(b"\xff\xda") + 40
    jpeg[start : start + 12] = bytes.fromhex("ffd0ffd1ffd2ffd3ffd4ffd5")
    with pytest.raises(InputError, match="its picture (is damaged|cannot be unpacked)"):
        read_image(packed(dicom(tmp_path / "x.dcm", COLOUR[..., 0]), JPEG_BASELINE, [bytes(jpeg)]))


def test_a_small_file_that_claims_a_huge_picture_asks_for_no_memory(tmp_path: Path) -> None:
    path = dicom(tmp_path / "x.dcm", GREY)
    with pytest.raises(InputError, match=r"at most 1 GB .* --max-memory"):
        read_image(packed(path, JPEG2000Lossless, [bytes(200)], Rows=40000, Columns=40000))
    # A picture that claims as much itself.
    header = struct.pack(">HHHHIIIIIIIIHBBB", 0xFF4F, 0xFF51, 41, 0, 20000, 20000, 0, 0, 20000, 20000, 0, 0, 1, 15, 1, 1)
    with pytest.raises(InputError, match="picture of 10. bytes cannot hold 20000 x 20000 pixels"):
        read_image(packed(path, JPEG2000Lossless, [header + bytes(60) + b"\xff\xd9"], Rows=20000, Columns=20000))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.102", "1.2.840.113619.5.2"])
def test_compressions_that_cannot_be_unpacked_are_named_and_harm_no_other_series(tmp_path: Path, syntax: str) -> None:
    path = packed(dicom(tmp_path / "x.dcm", GREY, SeriesInstanceUID="1.9"), UID(syntax), [bytes(200)], NumberOfFrames=7)
    with pytest.raises(InputError, match=rf"found the transfer syntax {syntax} .* decompress it"):
        read_image(path)
    dicom(tmp_path / "y.dcm", GREY)
    np.testing.assert_array_equal(read_image(tmp_path, series="1.2.3.4").array, GREY)
