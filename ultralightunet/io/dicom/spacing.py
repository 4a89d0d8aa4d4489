"""How large a pixel of a DICOM image is, and which of the places where a file may say so counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .values import Elements

_TISSUE, _CENTIMETRES = 1.0, 3.0
"""PS3.3, C.8.5.5.1: the spatial format of a two-dimensional image, and the unit cm."""
_ALIKE = 0.01
"""Sizes closer than this share of each other count as equal: they are rounded."""


@dataclass(frozen=True)
class PixelSize:
    """How large a pixel is.

    Attributes:
        size: mm along j and i, None where it is not known.
        note: what a person should know of it, "" if nothing.
    """

    size: tuple[float, float] | None = None
    note: str = ""


def pixel_size(header: Elements) -> PixelSize:
    """The size that counts.

    In this order (PS3.3, 10.7 and C.8.5.5): what ultrasound says of its regions; `PixelSpacing`, which in a projection is what somebody
    calibrated; `ImagerPixelSpacing`, which is that at the detector, over the magnification if the file estimates it;
    `NominalScannedPixelSpacing`, that of a scanned film; `ImagePlanePixelSpacing` of radiotherapy.
    """
    spacing, wrong = _pair(header, "PixelSpacing")
    if regions := [_region(item) for item in header.items("SequenceOfUltrasoundRegions") if _is_tissue(item)]:
        return _of_regions(regions, spacing)
    if wrong:
        return PixelSize(None, wrong)
    imager, wrong = _pair(header, "ImagerPixelSpacing")
    if spacing is not None:
        return PixelSize(spacing, _beside(spacing, imager, header))
    if wrong:
        return PixelSize(None, wrong)
    if imager is not None:
        return _at_detector(imager, header)
    for name, where in (("NominalScannedPixelSpacing", "on the scanned film"), ("ImagePlanePixelSpacing", "in the plane of the image")):
        size, wrong = _pair(header, name)
        if size or wrong:
            return PixelSize(size, wrong or f"its pixel size is that {where}")
    return PixelSize()


def _pair(header: Elements, name: str) -> tuple[tuple[float, float] | None, str]:
    """Two sizes above zero, or None; and what is wrong with them."""
    found = header.numbers(name, 2)
    if found and min(found) > 0:
        return (found[0], found[1]), ""
    return None, f"its {name} is {header.text(name)!r}: how large a pixel is, is not known" if header.raw(name) else ""


def _is_tissue(region: Elements) -> bool:
    return region.number("RegionSpatialFormat") == _TISSUE


def _region(region: Elements) -> tuple[float, float] | None:
    units = (region.number("PhysicalUnitsYDirection"), region.number("PhysicalUnitsXDirection"))
    size = (10 * abs(region.number("PhysicalDeltaY")), 10 * abs(region.number("PhysicalDeltaX")))
    return size if units == (_CENTIMETRES, _CENTIMETRES) and min(size) > 0 else None


def _of_regions(regions: list[tuple[float, float] | None], spacing: tuple[float, float] | None) -> PixelSize:
    sizes = [size for size in regions if size is not None]
    if len(sizes) < len(regions):
        return PixelSize(None, "its ultrasound regions are not measured in centimetres: how large a pixel is, is not known")
    if not all(_alike(size, sizes[0]) for size in sizes):
        listed = ", ".join(sorted({_words(size) for size in sizes}))
        return PixelSize(None, f"its ultrasound regions have pixels of several sizes ({listed}): how large a pixel is, is not known")
    if spacing is not None and not _alike(spacing, sizes[0]):
        return PixelSize(
            None,
            f"its ultrasound region says {_words(sizes[0])}, its PixelSpacing {_words(spacing)}: how large a pixel is, is not known",
        )
    return PixelSize(sizes[0])


def _beside(spacing: tuple[float, float], imager: tuple[float, float] | None, header: Elements) -> str:
    """What to say of a `PixelSpacing` beside the size at the detector."""
    if imager is None:
        return ""
    if _alike(spacing, imager):
        return "its pixel size is that at the detector, larger than in the patient"
    if spacing[0] > imager[0] * (1 + _ALIKE) or spacing[1] > imager[1] * (1 + _ALIKE):
        return (
            f"its PixelSpacing of {_words(spacing)} was taken, although it is larger than that at the detector ({_words(imager)}), "
            "which no projection makes"
        )
    factor = header.number("EstimatedRadiographicMagnificationFactor")
    estimated = (imager[0] / factor, imager[1] / factor) if factor >= 1 else spacing
    if header.text("PixelSpacingCalibrationType") == "GEOMETRY" and not _alike(spacing, estimated):
        return f"its PixelSpacing of {_words(spacing)} was taken, although its magnification of {factor:g} makes it {_words(estimated)}"
    return ""


def _at_detector(imager: tuple[float, float], header: Elements) -> PixelSize:
    factor = header.number("EstimatedRadiographicMagnificationFactor")
    if factor >= 1:
        return PixelSize((imager[0] / factor, imager[1] / factor))
    return PixelSize(imager, "its pixel size is that at the detector, larger than in the patient")


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return bool(np.allclose(one, other, rtol=_ALIKE, atol=0))


def _words(size: tuple[float, float]) -> str:
    return f"{size[0]:.4g} x {size[1]:.4g} mm"
