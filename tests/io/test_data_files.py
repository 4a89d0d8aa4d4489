"""The voxels of NRRD and MetaImage: all of them, as they were written, and out of no other files than may be meant."""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ultralightunet import InputError
from ultralightunet.io import read_image, read_labels

ARRAY = np.random.default_rng(7).integers(0, 300, (4, 5, 6)).astype("<i2")
RAW = ARRAY.tobytes()


def nrrd(path: Path, data: bytes, *, encoding: str = "raw", behind: str = "", sizes: str = "6 5 4") -> Path:
    """An NRRD of `ARRAY` with other data, and with further lines at the header's end."""
    head = f"NRRD0005\ntype: int16\ndimension: 3\nsizes: {sizes}\nspacings: 1 1 2\nendian: little\nencoding: {encoding}\n{behind}\n"
    path.write_bytes(head.encode() + data)
    return path


def metaimage(path: Path, data: bytes, *, file: str = "LOCAL", fields: str = "", sizes: str = "6 5 4") -> Path:
    """As `nrrd`."""
    head = f"ObjectType = Image\nNDims = 3\n{fields}ElementSpacing = 1 1 2\nDimSize = {sizes}\nElementType = MET_SHORT\n"
    path.write_bytes(f"{head}ElementDataFile = {file}\n".encode() + data)
    return path


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("raw", bytes),
        ("gzip", gzip.compress),
        ("gz", lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:])),
        ("bzip2", bz2.compress),
        ("hex", lambda data: data.hex(" ", 40).encode()),
        ("ascii", lambda data: " ".join(map(str, np.frombuffer(data, "<i2"))).encode()),
    ],
)
def test_every_encoding_of_nrrd_gives_the_same_voxels(tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    volume = read_image(nrrd(tmp_path / "scan.nrrd", pack(RAW), encoding=encoding))
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.spacing == (2, 1, 1)
    assert not volume.notes


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_packed_metaimages_need_not_say_how_long_they_are(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = metaimage(tmp_path / "scan.mha", pack(RAW), fields="CompressedData = True\n")
    np.testing.assert_array_equal(read_image(path).array, ARRAY)
    short = metaimage(tmp_path / "short.mha", pack(RAW)[:-9], fields=f"CompressedData = True\nCompressedDataSize = {len(pack(RAW))}\n")
    with pytest.raises(InputError, match=r"expected \d+ bytes of packed voxels, found \d+"):
        read_image(short)


def test_text_and_the_other_byte_order_of_metaimage(tmp_path: Path) -> None:
    text = " ".join(map(str, ARRAY.ravel())).encode()
    np.testing.assert_array_equal(read_image(metaimage(tmp_path / "text.mha", text, fields="BinaryData = False\n")).array, ARRAY)
    turned = metaimage(tmp_path / "turned.mha", ARRAY.byteswap().tobytes(), fields="BinaryDataByteOrderMSB = True\n")
    np.testing.assert_array_equal(read_image(turned).array, ARRAY)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_no_flipped_bit_of_packed_voxels_goes_unnoticed(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray((ARRAY > 150).astype(np.uint8)), str(whole), useCompression=True)
    data, expected = whole.read_bytes(), read_labels(whole).labels
    start = data.index(b"\n\n") + 2 if suffix == ".nrrd" else data.index(b"LOCAL\n") + 6
    refused = 0
    for at in range(start, len(data)):
        (tmp_path / f"bad{suffix}").write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        try:
            np.testing.assert_array_equal(read_labels(tmp_path / f"bad{suffix}").labels, expected)
        except InputError:
            refused += 1
    # gzip's header holds a date and a name of the system, which change no voxel.
    assert refused >= len(data) - start - 8


def test_bytes_behind_a_packed_stream_are_passed_over_as_other_tools_do(tmp_path: Path) -> None:
    for path in (
        nrrd(tmp_path / "scan.nrrd", gzip.compress(RAW) + b"left over", encoding="gzip"),
        metaimage(tmp_path / "scan.mha", zlib.compress(RAW) + b"left over", fields="CompressedData = True\n"),
    ):
        np.testing.assert_array_equal(read_image(path).array, ARRAY)


@pytest.mark.parametrize("sizes", ["6 5 3", "6 5 5", "5 5 4", "6 5", "6 5 4 1", "6 5 0", "6 -5 4", "6 5 four", "6 5 4.0"])
@pytest.mark.parametrize("packed", [False, True])
def test_more_or_fewer_voxels_than_the_header_says_are_refused(tmp_path: Path, sizes: str, packed: bool) -> None:
    files = (
        nrrd(tmp_path / "scan.nrrd", gzip.compress(RAW) if packed else RAW, encoding="gzip" if packed else "raw", sizes=sizes),
        metaimage(tmp_path / "scan.mha", zlib.compress(RAW) if packed else RAW, fields="CompressedData = True\n" * packed, sizes=sizes),
    )
    for path in files:
        with pytest.raises(InputError, match="scan"):
            read_image(path)


def test_more_bytes_in_a_file_beside_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "voxels.raw").write_bytes(RAW + bytes(7))
    for path in (
        nrrd(tmp_path / "scan.nhdr", b"", behind="data file: voxels.raw\n"),
        metaimage(tmp_path / "scan.mhd", b"", file="voxels.raw"),
    ):
        volume = read_image(path)
        np.testing.assert_array_equal(volume.array, ARRAY)
        assert volume.notes == ("7 bytes behind the voxels that the header tells of were passed over",)


def test_voxels_may_begin_behind_foreign_bytes(tmp_path: Path) -> None:
    (tmp_path / "voxels.raw").write_bytes(b"a line\nxyz" + RAW)
    (tmp_path / "voxels.raw.gz").write_bytes(gzip.compress(b"xyz" + RAW))
    for path in (
        nrrd(tmp_path / "a.nhdr", b"", behind="line skip: 1\nbyte skip: 3\ndata file: voxels.raw\n"),
        nrrd(tmp_path / "b.nhdr", b"", behind="byteskip: -1\ndatafile: voxels.raw\n"),
        nrrd(tmp_path / "c.nhdr", b"", encoding="gzip", behind="byte skip: 3\ndata file: voxels.raw.gz\n"),
        metaimage(tmp_path / "d.mhd", b"", file="voxels.raw", fields="HeaderSize = 10\n"),
        metaimage(tmp_path / "e.mhd", b"", file="voxels.raw", fields="HeaderSize = -1\n"),
    ):
        np.testing.assert_array_equal(read_image(path).array, ARRAY)


def test_slices_in_files_of_their_own_are_put_together(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for k, plane in enumerate(ARRAY):
        (tmp_path / f"slice{k + 7:03d}.raw").write_bytes(plane.tobytes())
        (tmp_path / "parts" / f"{k}.gz").write_bytes(gzip.compress(plane.tobytes()))
    listed = "\n".join(f"slice{k + 7:03d}.raw" for k in range(4))
    gz = "\n".join(f"parts/{k}.gz" for k in range(4))
    for path in (
        nrrd(tmp_path / "a.nhdr", b"", behind="data file: slice%03d.raw 7 10 1 2\n"),
        nrrd(tmp_path / "b.nhdr", b"", behind=f"data file: LIST\n{listed}\n"),
        nrrd(tmp_path / "c.nhdr", b"", encoding="gzip", behind=f"data file: LIST 2\n{gz}\n"),
        metaimage(tmp_path / "d.mhd", b"", file="slice%03d.raw 7 10 1"),
        metaimage(tmp_path / "e.mhd", listed.encode(), file="LIST"),
        metaimage(tmp_path / "f.mhd", listed.encode(), file="LIST 2"),
    ):
        np.testing.assert_array_equal(read_image(path).array, ARRAY)
    (tmp_path / "slice008.raw").write_bytes(ARRAY[1].tobytes()[:-2])
    with pytest.raises(InputError, match="expected 60 bytes of voxels, found 58 in .*slice008.raw"):
        read_image(tmp_path / "e.mhd")
    with pytest.raises(InputError, match="expected as many slices as data files, found 7 files"):
        read_image(metaimage(tmp_path / "g.mhd", "\n".join(["slice007.raw"] * 7).encode(), file="LIST"))


def test_a_header_is_followed_beside_it_and_nowhere_else(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.raw").write_bytes(RAW)
    (inside / "link.raw").symlink_to(tmp_path / "secret.raw")
    (inside / "folder.raw").mkdir()
    os.mkfifo(inside / "pipe.raw")
    names = [
        str(tmp_path / "secret.raw"),
        "../secret.raw",
        "inside/../../secret.raw",
        "link.raw",
        "folder.raw",
        "pipe.raw",
        "/dev/zero",
        "C:\\secret.raw",
        "..\\secret.raw",
        "gone.raw",
        "%s%s%n%n",
        "%999999999d.raw 1 4 1",
        "%3$n 1 2 1",
        "slice%d.raw 1 999999999 1",
        "slice%d.raw 1 4 0",
        "nul\0.raw",
        "LIST",
    ]
    for name in names:
        for path in (
            nrrd(inside / "scan.nhdr", b"", behind=f"data file: {name}\n"),
            metaimage(inside / "scan.mhd", b"", file=name),
            nrrd(inside / "scan.nhdr", b"", behind=f"data file: LIST\n{name}\n"),
            metaimage(inside / "scan.mhd", name.encode(), file="LIST"),
        ):
            with pytest.raises(InputError, match=r"expected .*scan\.") as caught:
                read_image(path)
            assert "\n" not in str(caught.value)


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the data file 'gone\.raw' beside .*scan\.mhd, found none .*; copy it there"):
        read_image(metaimage(tmp_path / "scan.mhd", b"", file="gone.raw"))


@pytest.mark.parametrize(
    ("suffix", "line"),
    [
        (".nrrd", b"spacinbs: 1 1 2"),
        (".nrrd", b"spacings: 1,1 1 2"),
        (".nrrd", b"spacings: 1_0 1 2"),
        (".nrrd", b"spacings: 1 1 2 2"),
        (".nrrd", b"spacings: 0 1 2"),
        (".nrrd", b"spacings: 1 1 2\nspacings: 1 1 2"),
        (".nrrd", b"spacings: 1 1 2\nspace: LPS"),
        (".nrrd", b"space: LPX\nspace directions: (1,0,0) (0,1,0) (0,0,2)"),
        (".nrrd", b"space: LPS\nspace directions: (1,0,0) (0,1,0)"),
        (".nrrd", b"space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,0)"),
        (".nrrd", b"space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,nan)"),
        (".nrrd", b"space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,2)\nspacings: 1 1 1"),
        (".mha", b"ElementSpacinh = 1 1 2"),
        (".mha", b"ElementSpacing = 1,5 1 2"),
        (".mha", b"ElementSpacing = 1 1"),
        (".mha", b"ElementSpacing = 1 0 2"),
        (".mha", b"ElementSpacing = 1 1 2\nElementSpacing = 1 1 2"),
        (".mha", b"ElementSpacing = 1 1 2\nTransformMatriy = 0 1 0 1 0 0 0 0 1"),
        (".mha", b"ElementSpacing = 1 1 inf"),
    ],
)
def test_a_header_that_says_odd_things_of_sizes_is_refused(tmp_path: Path, suffix: str, line: bytes) -> None:
    path = tmp_path / f"scan{suffix}"
    good = (nrrd if suffix == ".nrrd" else metaimage)(path, RAW).read_bytes()
    usual = b"spacings: 1 1 2" if suffix == ".nrrd" else b"ElementSpacing = 1 1 2"
    assert read_image(path).spacing == (2, 1, 1)
    path.write_bytes(good.replace(usual, line))
    with pytest.raises(InputError, match="scan"):
        read_image(path)
