"""Unpacks JPEG, JPEG-LS and JPEG 2000 for `picture`, in a process of its own: run as a file, it stands alone.

The libraries that unpack them are written in C; over a damaged picture they end the process, fill the memory or write on stderr. Here that
harms nobody, and what they write tells of damage that they pass over.

Its argument is a folder that it may write to. On stdin comes, for each frame, a line of JSON (`rows`, `columns`, `samples`, `allocated`,
`stored`, `high`, `signed`, `photometric`, `syntax`, `length`) and `length` bytes; on stdout goes a line of JSON (`dtype`, `shape`, `length`
or `error`) and `length` bytes of pixels.
"""

from __future__ import annotations

import json
import os
import re
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MEMORY = 2**30
"""Bytes beyond what a picture and its copies take."""
_SECONDS = 5
"""Of the processor's time, for a picture of a megapixel or less."""
_DAMAGE = re.compile(rb"Corrupt JPEG data(?!: \d+ extraneous bytes before marker 0xd9)|Premature end|Inconsistent progression")
"""What libjpeg says of pictures that it completes with something of its own."""


def main() -> None:
    """Answer until stdin ends."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        while line := sys.stdin.buffer.readline():
            wanted = json.loads(line)
            packed = sys.stdin.buffer.read(wanted["length"])
            _limit(wanted["rows"] * wanted["columns"] * wanted["samples"])
            said.seek(0)
            said.truncate()
            reply, pixels = _unpacked(sitk, wanted, packed, Path(sys.argv[1]) / "frame.dcm")
            said.seek(0)
            if _DAMAGE.search(said.read(2**16)):
                reply, pixels = {"error": "its picture is damaged", "length": 0}, b""
            sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n" + pixels)
            sys.stdout.buffer.flush()


def _unpacked(sitk: Any, wanted: dict[str, Any], packed: bytes, path: Path) -> tuple[dict[str, Any], bytes]:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        path.write_bytes(_file(wanted, packed))
        array = sitk.GetArrayFromImage(reader.Execute())
    except (RuntimeError, MemoryError) as error:
        return {"error": str(error).strip().split("\n")[-1], "length": 0}, b""
    finally:
        path.unlink(missing_ok=True)
    pixels, shape = array.tobytes(), array.shape[1:] if reader.GetDimension() == 3 else array.shape
    return {"dtype": array.dtype.str, "shape": shape, "length": len(pixels)}, pixels


def _limit(samples: int) -> None:
    """Let the system end this process if a picture takes far more memory or time than it should, where the system can."""
    try:
        import resource
        import signal

        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = in_use + _MEMORY + 8 * samples
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
        signal.setitimer(signal.ITIMER_PROF, _SECONDS + samples / 2**20)
    except (ImportError, OSError, ValueError, AttributeError):
        return


def _file(wanted: dict[str, Any], packed: bytes) -> bytes:
    """A DICOM file with nothing in it but the picture."""
    meta = _element(0x0002, 0x0002, "UI", _SECONDARY_CAPTURE.encode()) + _element(0x0002, 0x0003, "UI", b"1.2.3")
    meta += _element(0x0002, 0x0010, "UI", wanted["syntax"].encode())
    fields = (
        (0x0002, "US", wanted["samples"]),
        (0x0004, "CS", wanted["photometric"]),
        *(((0x0006, "US", 0),) if wanted["samples"] > 1 else ()),
        (0x0010, "US", wanted["rows"]),
        (0x0011, "US", wanted["columns"]),
        (0x0100, "US", wanted["allocated"]),
        (0x0101, "US", wanted["stored"]),
        (0x0102, "US", wanted["high"]),
        (0x0103, "US", int(wanted["signed"])),
    )
    packed += b"\0" * (len(packed) % 2)
    return b"".join(
        (
            bytes(128) + b"DICM",
            _element(0x0002, 0x0000, "UL", struct.pack("<I", len(meta))),
            meta,
            _element(0x0008, 0x0016, "UI", _SECONDARY_CAPTURE.encode()),
            _element(0x0008, 0x0018, "UI", b"1.2.3"),
            *(_element(0x0028, n, kind, struct.pack("<H", v) if kind == "US" else v.encode()) for n, kind, v in fields),
            struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF),
            struct.pack("<HHI", 0xFFFE, 0xE000, 0),
            struct.pack("<HHI", 0xFFFE, 0xE000, len(packed)),
            packed,
            struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        )
    )


def _element(group: int, number: int, kind: str, value: bytes) -> bytes:
    value += (b"\0" if kind == "UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", group, number, kind.encode(), len(value)) + value


if __name__ == "__main__":
    main()
