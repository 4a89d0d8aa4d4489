"""What labels mean, kept in their file: classes with names and colours, and the model that made them. Nothing of a patient.

In NRRD a key of its own, in MetaImage a field of its own, in NIfTI an extension of the header (code 6, a comment); other programs pass
them over.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import Any

import numpy as np

from ..models import LabelClass
from ..volume import Segmentation

KEY = "ultralight_labels"

_COMMENT = 6
"""NIfTI's code for an extension that is plain text."""

_LABEL_INTENT = 1002

Meaning = tuple[tuple[LabelClass, ...], str]
"""Classes, and NAME@VERSION of the model or ""."""


def text_of(segmentation: Segmentation) -> str:
    """One line of ASCII, "" where nobody knows what the labels mean."""
    if not segmentation.classes:
        return ""
    return json.dumps({"classes": [asdict(c) for c in segmentation.classes], "model": segmentation.model}, separators=(",", ":"))


def described_block(header: Any, segmentation: Segmentation) -> bytes:
    """The bytes before the voxels of a NIfTI file, from a header of nibabel's: they say that the image is labels, and which."""
    header["intent_code"] = _LABEL_INTENT
    text = text_of(segmentation)
    content = f"{KEY}={text}".encode() if text else b""
    size = -(-(len(content) + 8) // 16) * 16
    extension = struct.pack(f"{header.endianness}ii", size, _COMMENT) + content.ljust(size - 8, b"\0") if text else b""
    header["vox_offset"] = header.single_vox_offset + len(extension)
    return bytes(header.binaryblock) + bytes([bool(text), 0, 0, 0]) + extension


def in_nifti_header(header: Any) -> Meaning | None:
    """What a NIfTI header of nibabel's says of its labels, None if it does not say that they are labels.

    Raises:
        LookupError, TypeError, ValueError: if it is damaged.
    """
    for extension in header.extensions:
        found = extension.get_content()
        text = (found.encode() if isinstance(found, str) else bytes(found)).rstrip(b"\0").decode("utf-8", "replace")
        if text.startswith(f"{KEY}="):
            return parsed(text.removeprefix(f"{KEY}="))
    return ((), "") if int(np.asarray(header["intent_code"])) == _LABEL_INTENT else None


def parsed(text: str | None) -> Meaning | None:
    """What `text_of` has written.

    Raises:
        LookupError, TypeError, ValueError: for anything else.
    """
    if text is None:
        return None
    facts = json.loads(text)
    classes = tuple(
        LabelClass(int(c["index"]), str(c["name"])[:200], tuple(int(v) % 256 for v in c["color"][:3]), str(c.get("snomed", ""))[:40])  # type: ignore[arg-type]
        for c in facts["classes"]
    )
    if [c.index for c in classes] != list(range(len(classes))) or any(len(c.color) != 3 for c in classes):
        return (), ""
    return classes, str(facts.get("model", ""))[:200]
