"""PNG, JPEG and TIFF pictures come in with the pixels that a person sees."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from ultralightunet import InputError
from ultralightunet.io import output_paths, read_image, read_labels

RANDOM = np.random.default_rng(1)
GREY = RANDOM.integers(0, 256, (6, 9)).astype(np.uint8)
COLOUR = RANDOM.integers(0, 256, (6, 9, 3)).astype(np.uint8)
DEEP = RANDOM.integers(0, 65536, (6, 9)).astype(np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("array", [GREY, DEEP, COLOUR], ids=["grey", "16 bits", "colour"])
def test_pixels_are_kept_as_stored(tmp_path: Path, array: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(array).save(path)
    volume = read_image(path)
    np.testing.assert_array_equal(volume.array, array)
    assert volume.array.dtype == array.dtype
    assert (volume.shape, volume.channels) == ((6, 9), array.ndim * 2 - 3)
    assert (volume.has_spacing, volume.source.format) == (False, "image")
    np.testing.assert_array_equal(volume.affine, np.eye(4))


def test_a_jpeg_is_not_turned_by_its_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    volume = read_image(tmp_path / "turned.jpg")
    assert (volume.shape, volume.channels) == ((6, 9), 3)
    Image.fromarray(GREY).save(tmp_path / "grey.jpeg")
    assert read_image(tmp_path / "grey.jpeg").channels == 1


def test_alpha_is_dropped(tmp_path: Path) -> None:
    alpha = np.full((6, 9, 1), 7, np.uint8)
    for suffix in (".png", ".tif"):
        Image.fromarray(np.concatenate([COLOUR, alpha], -1)).save(tmp_path / f"rgba{suffix}")
        np.testing.assert_array_equal(read_image(tmp_path / f"rgba{suffix}").array, COLOUR)
        Image.fromarray(np.concatenate([GREY[..., None], alpha], -1)).save(tmp_path / f"la{suffix}")
        np.testing.assert_array_equal(read_image(tmp_path / f"la{suffix}").array, GREY)


@pytest.mark.parametrize("array", [GREY, COLOUR], ids=["grey", "colour"])
def test_bmp_and_webp_are_read_and_labels_of_them_written_to_png(tmp_path: Path, array: np.ndarray) -> None:
    for suffix, options in ((".bmp", {}), (".webp", {"lossless": True})):
        path = tmp_path / f"picture{suffix}"
        Image.fromarray(array).save(path, **options)
        volume = read_image(path)
        # WebP knows colours only.
        grey = array.ndim == 2 and volume.channels == 3
        np.testing.assert_array_equal(volume.array[..., 0] if grey else volume.array, array)
        assert (volume.has_spacing, volume.source.format) == (False, "image")
        assert output_paths([path], tmp_path / "out") == {path: tmp_path / "out" / "picture.png"}


def test_labels_are_not_taken_from_a_compression_that_changes_them(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "labels.webp")
    with pytest.raises(InputError, match="whose compression changes them"):
        read_labels(tmp_path / "labels.webp")
    Image.fromarray(GREY % 3).save(tmp_path / "labels.bmp")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.bmp").labels, GREY % 3)


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_a_picture_that_moves_is_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.roll(COLOUR, n, axis=0)) for n in range(4)]
    frames[0].save(tmp_path / f"film{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="expected one picture, found 4"):
        read_image(tmp_path / f"film{suffix}")


def test_16_bits_of_grey_beside_alpha_are_kept(tmp_path: Path) -> None:
    rows = np.stack([DEEP, np.full_like(DEEP, 7)], axis=-1).astype(">u2")
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 9, 6, 16, 4, 0, 0, 0)), (b"tEXt", b"note\0by hand"), (b"IDAT", packed), (b"IEND", b""))
    chunks = [struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in parts]
    path = tmp_path / "deep.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    np.testing.assert_array_equal(read_image(path).array, DEEP)
    assert read_image(path).array.dtype == np.uint16
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="deep.png"):
        read_image(path)


def test_a_bmp_is_as_long_as_its_size_makes(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "x.bmp")
    data = bytearray((tmp_path / "x.bmp").read_bytes())
    data[18] -= 1
    (tmp_path / "x.bmp").write_bytes(data)
    with pytest.raises(InputError, match="168 bytes of pixels where its size makes 144"):
        read_image(tmp_path / "x.bmp")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_palettes_are_colours_in_images_and_numbers_in_labels(tmp_path: Path, suffix: str) -> None:
    numbers = (GREY % 3).astype(np.uint8)
    picture = Image.fromarray(numbers, "L").convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0] + [0] * (253 * 3))
    picture.putdata(numbers.ravel().tolist())
    picture.save(tmp_path / f"palette{suffix}")
    volume = read_image(tmp_path / f"palette{suffix}")
    np.testing.assert_array_equal(volume.array, np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)[numbers])
    np.testing.assert_array_equal(read_labels(tmp_path / f"palette{suffix}").labels, numbers)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_bit_is_black_and_white_in_images_and_0_and_1_in_labels(tmp_path: Path, suffix: str) -> None:
    mask = GREY > 100
    Image.fromarray(mask).save(tmp_path / f"bits{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"bits{suffix}").array, mask * np.uint8(255))
    np.testing.assert_array_equal(read_labels(tmp_path / f"bits{suffix}").labels, mask.astype(np.uint8))


def test_16_bits_a_colour_are_kept(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 65536, (6, 9, 3)).astype(np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / "deep.png"))
    tifffile.imwrite(tmp_path / "deep.tif", array, photometric="rgb")
    for name in ("deep.png", "deep.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name).array, array)


def test_a_tiff_of_grey_pages_is_a_stack(tmp_path: Path) -> None:
    stack = RANDOM.integers(0, 999, (3, 6, 9)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    volume = read_image(tmp_path / "stack.tif")
    assert (volume.shape, volume.channels, volume.has_spacing) == ((3, 6, 9), 1, False)
    np.testing.assert_array_equal(volume.array, stack)
    tifffile.imwrite(tmp_path / "colour.tif", np.stack([COLOUR] * 4), photometric="rgb")
    assert read_image(tmp_path / "colour.tif").array.shape == (4, 6, 9, 3)
    tifffile.imwrite(tmp_path / "channels.tif", stack, imagej=True, metadata={"axes": "CYX"})
    assert read_image(tmp_path / "channels.tif").channels == 3
    tifffile.imwrite(tmp_path / "planes.tif", np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "planes.tif").array, COLOUR)


def test_compressions_that_tifffile_lacks_are_read_all_the_same(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "lzw.tif", compression="tiff_lzw", save_all=True, append_images=[Image.fromarray(GREY + 1)])
    np.testing.assert_array_equal(read_image(tmp_path / "lzw.tif").array, [GREY, GREY + 1])
    Image.fromarray(COLOUR).save(tmp_path / "one.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_image(tmp_path / "one.tif").array, COLOUR)


def test_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "white.tif", 255 - GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "white.tif").array, GREY)


def test_voxel_sizes_come_from_imagej_and_ome_but_not_from_a_printers_resolution(tmp_path: Path) -> None:
    stack = RANDOM.integers(0, 999, (3, 6, 9)).astype(np.uint16)
    notes = {"axes": "ZYX", "spacing": 2.5, "unit": "mm"}
    tifffile.imwrite(tmp_path / "imagej.tif", stack, imagej=True, resolution=(2, 1 / 0.7), metadata=notes)
    volume = read_image(tmp_path / "imagej.tif")
    assert (volume.spacing, volume.has_spacing) == (pytest.approx((2.5, 0.7, 0.5), rel=1e-6), True)
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("XYZ", (500, 0.7, 2.5), strict=True)}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "mm", "PhysicalSizeZUnit": "mm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": "ZYX"} | sizes | units)
    assert read_image(tmp_path / "a.ome.tif").spacing == pytest.approx((2.5, 0.7, 0.5))
    tifffile.imwrite(tmp_path / "print.tif", GREY, resolution=(300, 300), resolutionunit="INCH")
    assert not read_image(tmp_path / "print.tif").has_spacing


def test_a_tiff_over_time_asks_for_a_volume(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 999, (4, 3, 6, 9)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "time.tif", array, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match="series of 4"):
        read_image(tmp_path / "time.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "time.tif", volume_index=2).array, array[2])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
@pytest.mark.parametrize("damage", ["empty", "text", "cut", "header only"])
def test_damaged_files_are_named_in_one_sentence(tmp_path: Path, damage: str, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    whole = tmp_path / f"whole{suffix}"
    Image.fromarray(RANDOM.integers(0, 255, (99, 99)).astype(np.uint8)).save(whole)
    data = whole.read_bytes()
    path = tmp_path / f"bad{suffix}"
    path.write_bytes({"empty": b"", "text": b"no picture\n" * 9, "cut": data[: len(data) // 2], "header only": data[:30]}[damage])
    with pytest.raises(InputError, match="expected .* found ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_pages_that_go_round_in_a_circle_are_noticed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "round.tif", np.stack([GREY] * 3), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(tmp_path / "round.tif") as file:
        last = file.pages[2]
        end = last.offset + 2 + 12 * len(last.tags)
    data = bytearray((tmp_path / "round.tif").read_bytes())
    data[end : end + 4] = last.offset.to_bytes(4, "little")
    (tmp_path / "round.tif").write_bytes(data)
    with pytest.raises(InputError, match="round in a circle"):
        read_image(tmp_path / "round.tif")


def test_a_picture_has_one_volume_only(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png", volume_index=0).shape == (6, 9)
    with pytest.raises(InputError, match="--volume-index 1"):
        read_image(tmp_path / "grey.png", volume_index=1)
