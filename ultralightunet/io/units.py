"""Units of length by the names that headers give them."""

from __future__ import annotations

_MILLIMETRES = {
    1.0: ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    10.0: ("cm", "centimeter", "centimeters", "centimetre", "centimetres"),
    1000.0: ("m", "meter", "meters", "metre", "metres"),
    1e-3: ("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"),
    1e-6: ("nm", "nanometer", "nanometers", "nanometre", "nanometres"),
    25.4: ("in", "inch", "inches"),
}
_BY_NAME = {name: length for length, names in _MILLIMETRES.items() for name in names}


def millimetres(unit: str) -> float | None:
    """How long a unit is in mm, None for a name that is none of length."""
    return _BY_NAME.get(unit.strip().lower())
