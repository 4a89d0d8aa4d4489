"""Pixels of DICOM files as a person is meant to see them."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .elements import DicomData
from .layout import HALVED, Layout, layout_of
from .packed import frame_extents, from_run_lengths, joined
from .picture import PictureDecoder
from .tags import PLAIN, RUN_LENGTHS
from .values import Elements, Order

_COLOURS = ("Red", "Green", "Blue")
_MEASURED = ("CT", "PT")
_PRECISE = 24
"""Bits of a whole number that single precision holds."""


class FrameReader:
    """Reads the frames of one file, one at a time.

    Args:
        data: the file.
        decoder: for compressed pictures.

    Raises:
        InputError: if its header and its pixels do not go together.
    """

    def __init__(self, data: DicomData, decoder: PictureDecoder) -> None:
        self.data, self.decoder, self.layout = data, decoder, layout_of(data)
        self._stack = ExitStack()
        self._file = self._stack.enter_context(data.open())
        place = data.pixels
        assert place is not None
        self._extents = frame_extents(data, self.layout.frames, self._file) if place.encapsulated else []

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def read(self, index: int) -> NDArray[Any]:
        """Frame `index`, (j, i) or in RGB (j, i, 3): bright where it is bright to a person, not yet rescaled."""
        layout, syntax = self.layout, self.data.syntax
        if not self._extents:
            return _shown(self._plain(index), layout, self.data)
        packed = joined(self._file, self._extents[index])
        if syntax == RUN_LENGTHS:
            return _shown(from_run_lengths(packed, layout, self.data.path), layout, self.data)
        if syntax in PLAIN:
            if not 0 <= 8 * len(packed) - layout.frame_bits < 16:
                # Without its transfer syntax a compressed picture would look like so many plain bytes.
                raise InputError(
                    f"expected {layout.frame_bits // 8} bytes of plain pixels a frame, found {len(packed)} in {self.data.path}: they are "
                    "packed in a way that its header does not tell, or damaged; copy it again"
                )
            return _shown(_arranged(packed, layout, "<", self.data), layout, self.data)
        return _shown(self.decoder.unpack(packed, layout, syntax, self.data.path), layout, self.data, is_unpacked=True)

    def _plain(self, index: int) -> NDArray[Any]:
        layout, place = self.layout, self.data.pixels
        assert place is not None
        first, last = index * layout.frame_bits, (index + 1) * layout.frame_bits
        if layout.allocated == 1:
            bits = np.unpackbits(np.frombuffer(self._bytes(first // 8, (last + 7) // 8), np.uint8), bitorder="little")
            return bits[first % 8 :][: layout.frame_bits].reshape(layout.shape)
        first, last = first // 8, last // 8
        if layout.allocated == 8 and self.data.order == ">" and place.kind == "OW":
            # Bytes lie in words, whose order is turned round like that of any number.
            words = np.frombuffer(self._bytes(first & ~1, last + (last & 1)), "u2").byteswap()
            return _arranged(words.tobytes()[first & 1 :][: last - first], layout, "<", self.data)
        return _arranged(self._bytes(first, last), layout, self.data.order, self.data)

    def _bytes(self, first: int, last: int) -> bytes:
        assert self.data.pixels is not None
        self._file.seek(self.data.pixels.extents[0][0] + first)
        return self._file.read(last - first)


def _arranged(raw: bytes, layout: Layout, order: Order, data: DicomData) -> NDArray[Any]:
    """Samples as they are stored, colours last."""
    length = layout.frame_bits // 8
    if len(raw) < length:
        raise InputError(f"expected {length} bytes of pixels a frame, found {len(raw)} in {data.path}: it is cut off; copy it again")
    values = np.frombuffer(raw, layout.dtype.newbyteorder(order), layout.frame_bits // layout.allocated)
    values = values.astype(layout.dtype, copy=False)
    if layout.photometric == HALVED:
        # For two pixels: both brightnesses, then the hues of both.
        pairs = values.reshape(-1, 4)
        hues = np.repeat(pairs[:, None, 2:], 2, axis=1)
        return np.concatenate([pairs[:, :2, None], hues], axis=2).reshape(layout.shape)
    if layout.samples > 1 and layout.planar:
        return np.moveaxis(values.reshape(layout.samples, layout.rows, layout.columns), 0, -1)
    return values.reshape(layout.shape)


def _shown(values: NDArray[Any], layout: Layout, data: DicomData, *, is_unpacked: bool = False) -> NDArray[Any]:
    """Stored samples as grey values or RGB."""
    if layout.floating:
        return values
    if not is_unpacked:
        values = _counting_bits(values, layout)
    if layout.photometric == "PALETTE COLOR":
        tables = [_table(data, data.header, f"{colour}PaletteColorLookupTable", layout.signed) for colour in _COLOURS]
        return np.stack([_looked_up(values, first, _eight_bits(entries, bits)) for first, entries, bits in tables], axis=-1)
    if layout.photometric.startswith("YBR") and not is_unpacked:
        return _rgb(values, layout, data)
    is_turned = layout.photometric == "MONOCHROME1" and not _is_measured(data.header)
    if values.ndim == 2 and (items := data.header.items("ModalityLUTSequence")) and "LUTData" in items[0]:
        first, entries, bits = _table(data, items[0], "LUT", layout.signed)
        found = _looked_up(values, first, entries)
        return 2**bits - 1 - found.astype(np.int64) if is_turned else found
    return _turned_round(values, layout) if is_turned else values


def _is_measured(header: Elements) -> bool:
    """Whether rescaled values are quantities (Hounsfield units, activity), whichever way round they are shown."""
    has_scale = "RescaleSlope" in header or bool(header.items("SharedFunctionalGroupsSequence"))
    return header.text("Modality") in _MEASURED and has_scale


def _turned_round(values: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Values within the range of what is stored, of which 0 is as bright as can be."""
    if layout.signed:
        return ~values
    if layout.stored > _PRECISE:
        # Near the top of 32 bits, single precision would make neighbours equal.
        return -1 - values.astype(np.int64)
    return np.asarray(values.dtype.type(2**layout.stored - 1) - values)


def _counting_bits(values: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Without the bits that do not count, in which older files keep overlays."""
    above = 8 * values.dtype.itemsize - 1 - layout.high
    below = layout.high + 1 - layout.stored
    if layout.allocated == 1 or (above == 0 and below == 0):
        return values
    # Shifted up and down again, which carries the sign along.
    return (values << above) >> (above + below)


def _table(data: DicomData, header: Elements, name: str, signed: bool) -> tuple[int, NDArray[np.uint16], int]:
    """The value that the first entry of a look-up table is for, the entries, and how many bits of them count."""
    numbers, raw = header.numbers(name + "Descriptor", 3), header.raw(name + "Data")
    count, first, bits = (int(number) for number in numbers or (0, 0, 0))
    count, first = count or 2**16, first - 2**16 * (signed and first >= 2**15)
    if not numbers or len(raw) not in (2 * count, count + count % 2):
        raise InputError(
            f"expected a look-up table of {count} entries, found {len(raw)} bytes of one in {data.path}: it is damaged or in segments; "
            "export the image as RGB or without a table"
        )
    entries = np.frombuffer(raw, data.order + "u2" if len(raw) == 2 * count else np.uint8, count)
    return first, entries.astype(np.uint16), bits


def _eight_bits(entries: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    return (entries >> 8 if bits > 8 else entries & 255).astype(np.uint8)


def _looked_up(values: NDArray[Any], first: int, table: NDArray[Any]) -> NDArray[Any]:
    """Entries of a table; values outside take its first or last."""
    return table[np.clip(values.astype(np.int64) - first, 0, len(table) - 1)]


def _rgb(values: NDArray[Any], layout: Layout, data: DicomData) -> NDArray[np.uint8]:
    """RGB of brightness and two hues (PS3.3, C.7.6.3.1.2)."""
    if layout.allocated != 8 or layout.photometric not in ("YBR_FULL", HALVED):
        raise InputError(
            f"expected RGB or YBR_FULL of 8 bits, found {layout.photometric} of {layout.allocated} in {data.path}; export it as RGB"
        )
    bright, blue, red = np.moveaxis(values.astype(np.float32), -1, 0)
    blue, red = blue - 128, red - 128
    colours = (bright + 1.402 * red, bright - 0.114 * 1.772 / 0.587 * blue - 0.299 * 1.402 / 0.587 * red, bright + 1.772 * blue)
    return np.clip(np.floor(np.stack(colours, axis=-1) + 0.5), 0, 255).astype(np.uint8)
