"""What a class is in SNOMED CT, for 3D Slicer and for DICOM: an organ, something that a disease made, or plain tissue."""

from __future__ import annotations

from ..models import LabelClass

ANATOMY = ("123037004", "Anatomical Structure")
ALTERED = ("49755003", "Morphologically Altered Structure")
TISSUE = ("85756007", "Tissue")

ALTERED_STRUCTURES = frozenset(
    {
        "108369006",  # neoplasm
        "14799000",  # neoplasm, secondary
        "23583003",  # inflammation
        "27925004",  # nodule
        "367643001",  # cyst
        "41329004",  # polyp
        "4147007",  # mass
        "44132006",  # abscess
        "50960005",  # haemorrhage
        "52988006",  # lesion
        "55584005",  # embolus
        "6574001",  # necrosis
        "68496003",  # polyp of colon
        "75753009",  # blood clot
        "79654002",  # oedema
        "86049000",  # neoplasm, primary
    }
)
"""Codes of what no healthy body has: those of DICOM's and Slicer's lists, and those of the shipped models."""

_LIST = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGIONS = "Anatomic codes - DICOM master list"


def category(entry: LabelClass) -> tuple[str, str]:
    """Code and meaning of the category that a class belongs to."""
    if not entry.snomed:
        return TISSUE
    return ALTERED if entry.snomed in ALTERED_STRUCTURES else ANATOMY


def kind(entry: LabelClass) -> tuple[str, str]:
    """Code and meaning of the class itself, "Tissue" where it has no code."""
    return (entry.snomed, entry.name) if entry.snomed else TISSUE


def terminology(entry: LabelClass) -> str:
    """Slicer's terminology entry of a class."""
    coded = []
    for code, meaning in (category(entry), kind(entry)):
        name = "".join(" " if letter in "^~|" else letter for letter in meaning)
        coded.append(f"SCT^{code}^{name}")
    return f"{_LIST}~{'~'.join(coded)}~^^~{_REGIONS}~^^~^^"
