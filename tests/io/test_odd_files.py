"""Files as nobody would write them, by the hundred: they are read as other programs read them, or refused in a sentence."""

from __future__ import annotations

import gzip
import re
import struct
import tracemalloc
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.freesurfer.mghformat import MGHImage

from ultralightunet import InputError
from ultralightunet.io import read_image, read_labels
from ultralightunet.io.geometry import ras_from_lps
from ultralightunet.io.limits import VARIABLE

from ..io_files import quiet_itk

ARRAY = np.random.default_rng(0).integers(0, 300, (5, 6, 7)).astype("<i2")
AFFINE = np.array([[0, -2, 0.1, 10], [1.5, 0, 0, -20], [0, 0.2, 3, 30], [0, 0, 0, 1]])
MOST_MEMORY = 64 * 2**20

ODD_WORDS = (
    b"0", b"-1", b"nan", b"inf", b"1e400", b"1_0", b"1,5", b"4294967296", b"99999999999", b"", b"\xff", b"%n%s", b"1 2 3 4 5", b"none",
    b"LIST", b"LOCAL", b"../x.raw", b"/dev/zero",
)  # fmt: skip
ODD_NUMBERS = tuple(struct.pack(order + kind, value) for order in "<>" for kind in "fi" for value in (0, -1, 1, 3, 100, 10**6))

MHD = b"""ObjectType = Image
NDims = 3
ElementSpacing = 1 1.5 2
Offset = 1 2 3
TransformMatrix = 0 1 0 1 0 0 0 0 1
DimSize = 7 6 5
ElementType = MET_SHORT
ElementDataFile = voxels.raw
"""
NHDR = b"""NRRD0005
type: int16
dimension: 3
space: left-posterior-superior
sizes: 7 6 5
space directions: (0,1,0) (1.5,0,0) (0,0,2)
kinds: domain domain domain
endian: little
encoding: raw
space origin: (1,2,3)
data file: voxels.raw
"""


@cache
def whole() -> Mapping[str, bytes]:
    """A sound file of each kind, by the name it is read under; no fixture, whose value a failing example would print."""
    with TemporaryDirectory() as folder:
        return _written(Path(folder))


def _written(folder: Path) -> Mapping[str, bytes]:
    image = sitk.GetImageFromArray(ARRAY)
    image.SetSpacing((1.5, 2, 3))
    image.SetOrigin((1, 2, 3))
    writers: dict[str, Callable[[str], Any]] = {
        "x.nii": lambda path: nib.save(nib.Nifti1Image(ARRAY.T, AFFINE), path),
        "two.nii": lambda path: nib.save(nib.Nifti2Image(ARRAY.T, AFFINE), path),
        "x.mgh": lambda path: nib.save(MGHImage(ARRAY.T, AFFINE), path),
        "x.hdr": lambda path: nib.save(nib.AnalyzeImage(ARRAY.T, np.diag([2, 3, 4, 1])), path),
        "x.nrrd": lambda path: sitk.WriteImage(image, path),
        "packed.nrrd": lambda path: sitk.WriteImage(image, path, True),
        "x.mha": lambda path: sitk.WriteImage(image, path),
        "packed.mha": lambda path: sitk.WriteImage(image, path, True),
    }
    found = {"x.mhd": MHD, "x.nhdr": NHDR}
    for name, write in writers.items():
        write(str(folder / name))
        found[name] = (folder / name).read_bytes()
    return found | {"x.img": (folder / "x.img").read_bytes(), "voxels.raw": ARRAY.tobytes()}


HEADERS = ("x.nii", "two.nii", "x.mgh", "x.hdr", "x.nrrd", "packed.nrrd", "x.mha", "packed.mha", "x.mhd", "x.nhdr")


@st.composite
def edits(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Damage of a few places, most of them in the header."""
    parts = draw(
        st.lists(
            st.tuples(
                st.sampled_from(("byte", "bit", "cut out", "put in", "cut off", "word", "number")),
                st.floats(0, 1, exclude_max=True, allow_subnormal=False),
                st.integers(0, 255),
                st.booleans(),
            ),
            min_size=1,
            max_size=3,
        )
    )

    def damage(data: bytes) -> bytes:
        for how, where, value, anywhere in parts:
            if not data:
                break
            at = int(where * (len(data) if anywhere else min(len(data), 600)))
            words = list(re.finditer(rb"[\w.+-]+", data[:600]))
            if how == "word" and words:
                word = words[int(where * len(words))]
                data = data[: word.start()] + ODD_WORDS[value % len(ODD_WORDS)] + data[word.end() :]
            else:
                put, taken = {
                    "bit": (bytes([data[at] ^ 1 << value % 8]), 1),
                    "cut out": (b"", 1 + value % 20),
                    "put in": (bytes([value]) * (1 + value % 9), 0),
                    "cut off": (b"", len(data)),
                    "number": (ODD_NUMBERS[value % len(ODD_NUMBERS)], 4),
                }.get(how, (bytes([value]), 1))
                data = data[:at] + put + data[at + taken :]
        return data

    return damage


def damaged(folder: Path, name: str, damage: Callable[[bytes], bytes]) -> Path:
    for other in ("x.img", "voxels.raw"):
        (folder / other).write_bytes(whole()[other])
    (folder / name).write_bytes(damage(whole()[name]))
    return folder / name


def read_or_refused(path: Path, read: Callable[[Path], Any] = read_image) -> Any:
    """What is read, or None if it is refused as it should be; with little memory either way."""
    sentence, found = f"expected an error, found none at {path}", None
    tracemalloc.start()
    try:
        found = read(path)
    except InputError as error:
        sentence = str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 * MOST_MEMORY
    assert "expected " in sentence
    assert str(path) in sentence
    assert "\n" not in sentence
    return found


@pytest.mark.parametrize("name", HEADERS)
@settings(max_examples=60)
@given(damage=edits())
def test_damage_is_refused_in_one_sentence_or_does_no_harm(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], damage: Any
) -> None:
    monkeypatch.setenv(VARIABLE, str(MOST_MEMORY))
    path = damaged(tmp_path, name, damage)
    volume = read_or_refused(path)
    if volume is not None:
        assert np.isfinite(volume.affine).all()
        assert volume.array.dtype.isnative
        labels = read_or_refused(path, read_labels)
        assert labels is None or np.allclose(labels.labels, volume.array, atol=1e-3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["x.nii", "two.nii", "x.mgh", "x.hdr"])
@pytest.mark.parametrize("packed", [False, True])
@settings(max_examples=40)
@given(damage=edits())
def test_what_is_read_without_a_word_is_what_nibabel_reads(name: str, packed: bool, tmp_path: Path, damage: Any) -> None:
    path = damaged(tmp_path, name, damage)
    if packed and name != "x.hdr":
        path = path.with_name(path.name + ".gz" if path.suffix == ".nii" else path.stem + ".mgz")
        path.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    volume = read_or_refused(path)
    if volume is None or volume.notes:
        return
    theirs: Any = nib.load(path)
    length = {1: 1000.0, 3: 0.001}.get(int(theirs.header["xyzt_units"]) & 7, 1.0) if "xyzt_units" in theirs.header else 1.0
    np.testing.assert_allclose(volume.affine, np.diag((length, length, length, 1)) @ theirs.affine, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(volume.array, np.asarray(theirs.dataobj).T.reshape(volume.array.shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["packed.nrrd", "packed.mha"])
@settings(max_examples=100)
@given(at=st.floats(0, 1, exclude_max=True, allow_subnormal=False), bit=st.integers(0, 7), count=st.integers(1, 12))
def test_damaged_packed_voxels_are_never_read_as_others(name: str, tmp_path: Path, at: float, bit: int, count: int) -> None:
    data = bytearray(whole()[name])
    start = data.index(b"\n\n") + 2 if name.endswith("nrrd") else data.index(b"LOCAL\n") + 6
    for n in range(start + int(at * (len(data) - start)), len(data))[:count]:
        data[n] ^= 1 << bit
    (tmp_path / name).write_bytes(data)
    volume = read_or_refused(tmp_path / name)
    assert volume is None or np.array_equal(volume.array, ARRAY)


NAMES = {"float32": "float", "float64": "double"}
TYPES = (("MET_UCHAR", "u1"), ("MET_SHORT", "i2"), ("MET_UINT", "u4"), ("MET_LONG", "i4"), ("MET_DOUBLE", "f8"))
# No subnormal numbers: the compiled layers of `training/fused`, which other tests load, flush them to zero in the whole process.
numbers = st.floats(-200, 200, allow_subnormal=False).map(lambda value: round(value, 3))
sizes = st.floats(0.1, 9).map(lambda value: round(value, 3))


@settings(max_examples=80)
@given(data=st.data())
def test_every_sound_nrrd_lies_where_itk_puts_it(tmp_path: Path, data: st.DataObject) -> None:
    array = np.arange(24).astype(data.draw(st.sampled_from(("<u1", "<i2", ">i2", "<u4", ">f4", "<f8")))).reshape(2, 3, 4)
    lines = [
        "NRRD0004",
        f"type: {NAMES.get(array.dtype.name, array.dtype.name)}",
        "dimension: 3",
        "sizes: 4 3 2",
    ]
    lines += [f"endian: {'big' if array.dtype.str[0] == '>' else 'little'}", "encoding: raw"]
    if data.draw(st.booleans()):
        rows, _ = np.linalg.qr(
            np.array(data.draw(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=9, max_size=9))).reshape(3, 3) + 2 * np.eye(3)
        )
        directions = rows * np.array([data.draw(sizes) for _ in range(3)])[:, np.newaxis]
        space = data.draw(st.sampled_from(("left-posterior-superior", "RAS", "left-anterior-superior", "scanner-xyz")))
        lines += [f"space: {space}", "space directions: " + " ".join(f"({','.join(map(repr, row))})" for row in directions.tolist())]
        lines += [f"space origin: ({','.join(str(data.draw(numbers)) for _ in range(3))})"] * data.draw(st.booleans())
        lines += ["kinds: domain domain domain"] * data.draw(st.booleans())
    else:
        spacings = [data.draw(sizes) for _ in range(3)]
        lines += ["spacings: " + " ".join(map(str, spacings))]
        if data.draw(st.booleans()):
            lines += ["axis mins: " + " ".join(str(data.draw(numbers)) for _ in range(3))]
            lines += [f"centerings: {' '.join(data.draw(st.sampled_from(('cell', 'node'))) for _ in range(3))}"] * data.draw(st.booleans())
    path = tmp_path / "scan.nrrd"
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + array.tobytes())
    _as_itk_reads(path)


@settings(max_examples=80)
@given(data=st.data())
def test_every_sound_metaimage_lies_where_itk_puts_it(tmp_path: Path, data: st.DataObject) -> None:
    kind, dtype = data.draw(st.sampled_from(TYPES))
    big = data.draw(st.booleans())
    array = np.arange(24).astype((">" if big else "<") + dtype).reshape(2, 3, 4)
    rows, _ = np.linalg.qr(
        np.array(data.draw(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=9, max_size=9))).reshape(3, 3) + 2 * np.eye(3)
    )
    fields = [
        f"{data.draw(st.sampled_from(('TransformMatrix', 'Rotation', 'Orientation')))} = {' '.join(map(repr, rows.ravel().tolist()))}",
        f"{data.draw(st.sampled_from(('Offset', 'Position', 'Origin')))} = {' '.join(str(data.draw(numbers)) for _ in range(3))}",
        f"{data.draw(st.sampled_from(('ElementSpacing', 'ElementSize')))} = {' '.join(str(data.draw(sizes)) for _ in range(3))}",
        f"{data.draw(st.sampled_from(('BinaryDataByteOrderMSB', 'ElementByteOrderMSB')))} = {big}",
        "AnatomicalOrientation = RAI",
        "CenterOfRotation = 0 0 0",
    ]
    chosen = data.draw(st.lists(st.sampled_from(fields), unique=True))
    chosen += [fields[3]] if big and fields[3] not in chosen else []
    head = ["ObjectType = Image", "NDims = 3", *chosen, "DimSize = 4 3 2", f"ElementType = {kind}", "ElementDataFile = LOCAL", ""]
    path = tmp_path / "scan.mha"
    path.write_bytes("\n".join(head).encode() + array.tobytes())
    _as_itk_reads(path)


def _as_itk_reads(path: Path) -> None:
    with quiet_itk():
        theirs = sitk.ReadImage(str(path))
    ours = read_image(path)
    np.testing.assert_array_equal(ours.array, sitk.GetArrayFromImage(theirs))
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(theirs.GetDirection(), (3, 3)) * theirs.GetSpacing()
    lps[:3, 3] = theirs.GetOrigin()
    np.testing.assert_allclose(ours.affine, ras_from_lps(lps), atol=1e-9)
