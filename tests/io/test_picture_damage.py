"""However a picture or TIFF is damaged, it keeps its size or is refused in one sentence: nothing crashes, hangs or takes much memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from ultralightunet import InputError
from ultralightunet.io import read_image

STACK = np.random.default_rng(9).integers(0, 999, (3, 20, 26)).astype(np.uint16)
COLOUR = np.random.default_rng(9).integers(0, 256, (20, 26, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, bytes, np.ndarray]]:
    """By kind: suffix, content and pixels of files."""
    folder = tmp_path_factory.mktemp("whole")
    tifffile.imwrite(folder / "plain.tif", STACK, photometric="minisblack")
    tifffile.imwrite(folder / "deflated.tif", COLOUR, photometric="rgb", compression="zlib")
    tifffile.imwrite(folder / "imagej.tif", STACK, imagej=True, metadata={"axes": "ZYX", "spacing": 2.0, "unit": "mm"}, resolution=(2, 2))
    tifffile.imwrite(folder / "notes.ome.tif", STACK, metadata={"axes": "ZYX", "PhysicalSizeX": 2.0}, photometric="minisblack")
    sitk.WriteImage(sitk.GetImageFromArray(STACK), str(folder / "lzw.tif"), useCompression=True, compressor="LZW")
    Image.fromarray(COLOUR).save(folder / "colour.png")
    Image.fromarray(COLOUR).save(folder / "colour.bmp")
    Image.fromarray(COLOUR).save(folder / "colour.webp", lossless=True)
    Image.fromarray(COLOUR).save(folder / "colour.jpg")
    return {path.name: (path.suffix, path.read_bytes(), read_image(path).array) for path in sorted(folder.iterdir())}


KINDS = ("plain.tif", "deflated.tif", "imagej.tif", "notes.ome.tif", "lzw.tif", "colour.png", "colour.bmp", "colour.webp", "colour.jpg")
# No subnormal numbers: the compiled layers of `training/fused`, which other tests load, flush them to zero in the whole process.
DAMAGE = st.lists(st.tuples(st.floats(0, 0.999, allow_subnormal=False), st.integers(0, 255)), max_size=4)


@settings(max_examples=500)
@given(kind=st.sampled_from(KINDS), changes=DAMAGE, kept=st.floats(0.05, 1), near_the_start=st.booleans())
@example(kind="plain.tif", changes=[], kept=1.0, near_the_start=False)
def test_a_damaged_picture_keeps_its_size_or_is_refused(
    whole: dict[str, tuple[str, bytes, np.ndarray]],
    tmp_path: Path,
    kind: str,
    changes: list[tuple[float, int]],
    kept: float,
    near_the_start: bool,
) -> None:
    suffix, content, array = whole[kind]
    data = bytearray(content)
    for where, value in changes:
        data[int(where * (min(len(data), 400) if near_the_start else len(data)))] = value
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(data[: int(kept * len(data))])
    sentence = ""
    try:
        volume = read_image(path)
    except InputError as error:
        sentence = str(error)
    if sentence:
        assert "\n" not in sentence
        assert str(path) in sentence
        # Told in words of the format's own, not by the border that catches the rest.
        assert "expected an image, found a damaged or other file" not in sentence
        return
    if kind != "colour.jpg":
        # Whoever changes the size in a JPEG's header makes another picture, which nothing in the file contradicts.
        assert volume.array.size == array.size
    if not changes:
        np.testing.assert_array_equal(volume.array, array)
