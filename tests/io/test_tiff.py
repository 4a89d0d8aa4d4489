"""Every page and every value of a TIFF is read, or the file is refused; its voxels are as large as its notes say."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from ultralightunet import InputError
from ultralightunet.io import output_paths, read_image, read_labels

RANDOM = np.random.default_rng(8)
STACK = RANDOM.integers(0, 999, (5, 24, 30)).astype(np.uint16)
COLOUR = RANDOM.integers(0, 256, (24, 30, 3)).astype(np.uint8)


def lzw(path: Path, array: np.ndarray, *, vector: bool = False) -> Path:
    """A TIFF packed by libtiff through ITK."""
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector), str(path), useCompression=True, compressor="LZW")
    return path


def test_pages_written_one_by_one_are_a_stack(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "loop.tif") as file:
        for page in STACK:
            file.write(page)
    for page in STACK:
        tifffile.imwrite(tmp_path / "append.tif", page, append=True)
    Image.fromarray(STACK[0]).save(tmp_path / "pillow.tif", save_all=True, append_images=[Image.fromarray(page) for page in STACK[1:]])
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        np.testing.assert_array_equal(read_image(path).array, STACK)
    assert [target.suffix for target in output_paths(paths, tmp_path / "out").values()] == [".tif"] * 3


def test_colour_pages_written_one_by_one_are_a_stack(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "loop.tif") as file:
        for n in range(3):
            file.write(np.roll(COLOUR, n), photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "loop.tif").array, [np.roll(COLOUR, n) for n in range(3)])


def test_stacks_written_one_by_one_ask_for_a_volume(tmp_path: Path) -> None:
    for n in range(3):
        tifffile.imwrite(tmp_path / "stacks.tif", STACK + n, append=True, photometric="minisblack")
    with pytest.raises(InputError, match="series of 3"):
        read_image(tmp_path / "stacks.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "stacks.tif", volume_index=1).array, STACK + 1)


@pytest.mark.parametrize("other", [STACK[1][:12], STACK[1].astype(np.uint8), STACK[1].astype(np.float32), COLOUR.astype(np.uint16)])
def test_pages_of_several_sizes_or_kinds_are_refused(tmp_path: Path, other: np.ndarray) -> None:
    for page in (STACK[0], other, STACK[2]):
        tifffile.imwrite(tmp_path / "pages.tif", page, append=True, metadata=None)
    with pytest.raises(InputError, match="pages of one size and kind, found 3 of 2 kinds"):
        read_image(tmp_path / "pages.tif")


def test_a_preview_beside_the_picture_is_no_page(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "preview.tif") as file:
        file.write(STACK[0], metadata=None)
        file.write(STACK[0, ::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "preview.tif").array, STACK[0])


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"metadata": None},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"bigtiff": True},
    ],
)
def test_a_stack_that_is_cut_off_is_never_a_smaller_one(tmp_path: Path, options: dict[str, Any]) -> None:
    whole = tmp_path / "whole.tif"
    tifffile.imwrite(whole, STACK, photometric="minisblack", **options)
    data = whole.read_bytes()
    np.testing.assert_array_equal(read_image(whole).array, STACK)
    for length in range(9, len(data), len(data) // 60):
        (tmp_path / "cut.tif").write_bytes(data[:length])
        try:
            array = read_image(tmp_path / "cut.tif").array
        except InputError:
            continue
        # Only what lies behind the pixels was cut off.
        np.testing.assert_array_equal(array, STACK)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"compression": "lzma"}, {"byteorder": ">"}, {"tile": (16, 16)}])
def test_numbers_of_every_kind_come_back(tmp_path: Path, dtype: type, options: dict[str, Any]) -> None:
    array = (STACK * 7 - 3000).astype(dtype)
    tifffile.imwrite(tmp_path / "x.tif", array, photometric="minisblack", **options)
    volume = read_image(tmp_path / "x.tif")
    np.testing.assert_array_equal(volume.array, array)
    assert volume.array.dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.float32])
def test_numbers_of_every_kind_come_back_from_lzw(tmp_path: Path, dtype: type) -> None:
    array = (STACK[0] * 7 - 3000).astype(dtype)
    volume = read_image(lzw(tmp_path / "x.tif", array))
    np.testing.assert_array_equal(volume.array, array)
    assert volume.array.dtype == dtype


def test_colours_of_16_bits_come_back_from_lzw(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 65536, (24, 30, 3)).astype(np.uint16)
    np.testing.assert_array_equal(read_image(lzw(tmp_path / "x.tif", array, vector=True)).array, array)


def test_differences_from_pixel_to_pixel_are_added_up(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "x.tif", compression="tiff_lzw", tiffinfo={317: 2})
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        assert file.pages.first.predictor == 2
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif").array, COLOUR)
    tifffile.imwrite(tmp_path / "y.tif", STACK, compression="zlib", predictor=True, byteorder=">", photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "y.tif").array, STACK)


def test_run_lengths_come_back(tmp_path: Path) -> None:
    Image.fromarray(COLOUR // 64).save(tmp_path / "x.tif", compression="packbits")
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif").array, COLOUR // 64)


def test_a_tiff_of_jpegs_is_shown_as_any_viewer_shows_it(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "x.tif", compression="jpeg", quality=100)
    shown = np.asarray(Image.open(tmp_path / "x.tif").convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif").array, shown)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colours_become_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(np.full((24, 30, 3), (217, 163, 130), np.uint8))
    (picture if mode == "RGB" else picture.convert(mode)).save(tmp_path / "x.tif")
    volume = read_image(tmp_path / "x.tif")
    assert volume.channels == 3
    assert np.abs(volume.array.astype(int) - (217, 163, 130)).max() <= 3


@pytest.mark.parametrize("photometric", ["cfa", "icclab", "logluv", "linear_raw"])
def test_colours_that_would_not_be_shown_as_they_are_are_refused(tmp_path: Path, photometric: str) -> None:
    tifffile.imwrite(tmp_path / "x.tif", COLOUR, photometric="rgb")
    data = bytearray((tmp_path / "x.tif").read_bytes())
    at = data.index(struct.pack("<HHIH", 262, 3, 1, 2))
    data[at + 8 : at + 10] = struct.pack("<H", int(tifffile.PHOTOMETRIC[photometric.upper()]))
    (tmp_path / "x.tif").write_bytes(data)
    with pytest.raises(InputError, match="expected grey or RGB"):
        read_image(tmp_path / "x.tif")


def test_alpha_is_dropped_and_channels_are_kept(tmp_path: Path) -> None:
    four = RANDOM.integers(0, 256, (24, 30, 4)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "alpha.tif", four, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.tif").array, four[..., :3])
    tifffile.imwrite(tmp_path / "four.tif", four, photometric="minisblack", planarconfig="contig", extrasamples=["unspecified"] * 3)
    np.testing.assert_array_equal(read_image(tmp_path / "four.tif").array, four)
    assert not read_image(tmp_path / "alpha.tif").notes


def test_a_few_slices_that_their_writer_took_for_colours_are_told_of(tmp_path: Path) -> None:
    for slices in (3, 4):
        # As tifffile does by itself with so few, where it is told nothing else.
        alpha = ["unassalpha"] * (slices - 3)
        tifffile.imwrite(tmp_path / "x.tif", STACK[:slices], photometric="rgb", planarconfig="separate", extrasamples=alpha)
        volume = read_image(tmp_path / "x.tif")
        np.testing.assert_array_equal(volume.array, np.moveaxis(STACK[:3], 0, -1))
        assert f"{slices} planes were taken for colours" in volume.notes[0]
    tifffile.imwrite(tmp_path / "x.tif", np.moveaxis(STACK[:4], 0, -1), photometric="rgb", extrasamples=["unspecified"])
    assert "1 sample(s) beyond red, green and blue" in read_image(tmp_path / "x.tif").notes[0]


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_masks_of_single_bits_are_read(tmp_path: Path, compression: str | None, photometric: str) -> None:
    masks = STACK > 500
    shown = masks if photometric == "minisblack" else ~masks
    tifffile.imwrite(tmp_path / "x.tif", masks[0], photometric=photometric, compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif").array, shown[0] * np.uint8(255))
    np.testing.assert_array_equal(read_labels(tmp_path / "x.tif").labels, shown[0])
    with tifffile.TiffWriter(tmp_path / "stack.tif") as file:
        for mask in masks:
            file.write(mask, photometric=photometric, compression=compression, contiguous=False, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "stack.tif").array, shown * np.uint8(255))
    Image.fromarray(masks[0]).save(tmp_path / "pillow.tif")
    np.testing.assert_array_equal(read_labels(tmp_path / "pillow.tif").labels, masks[0])


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    for options in ({}, {"compression": "zlib"}):
        tifffile.imwrite(tmp_path / "x.tif", STACK[0].astype(np.complex64), **options)
        with pytest.raises(InputError, match="complex64"):
            read_image(tmp_path / "x.tif")


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", STACK[0])
    data = bytearray((tmp_path / "x.tif").read_bytes())
    at = data.index(struct.pack("<HHIH", 259, 3, 1, 1))
    data[at + 8 : at + 10] = struct.pack("<H", 50000)
    (tmp_path / "x.tif").write_bytes(data)
    with pytest.raises(InputError, match=r"1 x 16 bits .uint16., zstd, in .* without compression"):
        read_image(tmp_path / "x.tif")


def test_no_flipped_bit_of_deflated_pixels_goes_unnoticed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", COLOUR, compression="zlib", photometric="rgb", metadata=None)
    whole = (tmp_path / "x.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        start, length = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    for where in range(start, start + length, 23):
        data = bytearray(whole)
        data[where] ^= 1
        (tmp_path / "x.tif").write_bytes(data)
        with pytest.raises(InputError, match="x.tif"):
            read_image(tmp_path / "x.tif")


def test_a_strip_that_unpacks_to_far_more_than_the_picture_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, STACK[0].astype(np.uint8), compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        places = [tags[name].offset + 8 for name in ("StripOffsets", "StripByteCounts")]
        kinds = [{3: "<H", 4: "<I"}[int(tags[name].dtype)] for name in ("StripOffsets", "StripByteCounts")]
    bomb = zlib.compress(bytes(30 * 2**20), 9)
    data = bytearray(path.read_bytes())
    for place, kind, value in zip(places, kinds, (len(data), len(bomb)), strict=True):
        struct.pack_into(kind, data, place, value)
    path.write_bytes(data + bomb)
    with pytest.raises(InputError, match="holds more or less than the 24 x 30 pixels"):
        read_image(path)


def imagej(path: Path, unit: str, *, spacing: float | None = 25) -> Path:
    notes = {"axes": "ZYX", "unit": unit} | ({} if spacing is None else {"spacing": spacing})
    tifffile.imwrite(path, STACK, imagej=True, resolution=(0.2, 0.1 / 0.7), metadata=notes)
    return path


UNITS = {
    1.0: ("mm", "millimeter", "millimeters", "millimetre"),
    10.0: ("cm", "centimeters"),
    1e-3: ("um", r"\u00B5m", "micron", "microns", "micrometer", "micrometers"),
    1e-6: ("nm",),
    1000.0: ("m", "meters"),
    25.4: ("inch", "inches"),
}


@pytest.mark.parametrize(("unit", "length"), [(name, length) for length, names in UNITS.items() for name in names])
def test_the_units_of_imagej_become_millimetres(tmp_path: Path, unit: str, length: float) -> None:
    volume = read_image(imagej(tmp_path / "x.tif", unit))
    assert (volume.has_spacing, volume.notes) == (True, ())
    assert volume.spacing == pytest.approx((25 * length, 7 * length, 5 * length), rel=1e-6)


@pytest.mark.parametrize(("unit", "said"), [("pixel", ""), ("furlong", "measured in 'furlong'"), ("sec", "measured in 'sec'")])
def test_a_unit_that_is_no_length_makes_no_size(tmp_path: Path, unit: str, said: str) -> None:
    volume = read_image(imagej(tmp_path / "x.tif", unit))
    assert not volume.has_spacing
    assert said in "".join(volume.notes)


def test_a_stack_without_the_distance_of_its_slices_has_no_size_and_says_so(tmp_path: Path) -> None:
    volume = read_image(imagej(tmp_path / "x.tif", "mm", spacing=None))
    assert not volume.has_spacing
    assert "how far apart its slices are" in volume.notes[0]


@pytest.mark.parametrize(("unit", "length"), [("µm", 1e-3), ("mm", 1.0), ("cm", 10.0), ("nm", 1e-6), (None, 1e-3), ("pixel", None)])
def test_the_units_of_ome_become_millimetres(tmp_path: Path, unit: str | None, length: float | None) -> None:
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("XYZ", (5, 7, 25), strict=True)}
    units = {f"PhysicalSize{axis}Unit": unit for axis in "XYZ"} if unit else {}
    tifffile.imwrite(tmp_path / "x.ome.tif", STACK, metadata={"axes": "ZYX"} | sizes | units)
    volume = read_image(tmp_path / "x.ome.tif")
    assert volume.has_spacing == (length is not None)
    if length is not None:
        assert volume.spacing == pytest.approx((25 * length, 7 * length, 5 * length))


def test_voxels_too_small_for_any_place_are_told_of(tmp_path: Path) -> None:
    notes = {"axes": "YX", "PhysicalSizeX": 0.4, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.4, "PhysicalSizeYUnit": "nm"}
    tifffile.imwrite(tmp_path / "x.ome.tif", STACK[0], metadata=notes)
    volume = read_image(tmp_path / "x.ome.tif")
    assert (volume.has_spacing, "less than a nanometre" in volume.notes[0]) == (False, True)


@pytest.mark.parametrize("notes", ["<OME></OME>", "<OME>text</OME>", "<OME><Image>text</Image></OME>"])
def test_odd_notes_of_ome_do_no_harm(tmp_path: Path, notes: str) -> None:
    tifffile.imwrite(tmp_path / "x.ome.tif", STACK[0], description=notes, metadata=None)
    volume = read_image(tmp_path / "x.ome.tif")
    np.testing.assert_array_equal(volume.array, STACK[0])
    assert not volume.has_spacing


def test_a_picture_that_goes_on_in_other_files_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.ome.tif", STACK, metadata={"axes": "ZYX"}, photometric="minisblack")
    data = (tmp_path / "x.ome.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "x.ome.tif") as file:
        text = file.ome_metadata or ""
    more = text.replace('SizeZ="5"', 'SizeZ="9"')
    assert len(more) == len(text)
    (tmp_path / "x.ome.tif").write_bytes(data.replace(text.encode(), more.encode()))
    with pytest.raises(InputError, match=r"x.ome.tif"):
        read_image(tmp_path / "x.ome.tif")


def test_labels_keep_their_numbers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", (STACK % 4).astype(np.uint8), compression="zlib", photometric="minisblack")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.tif").labels, STACK % 4)
