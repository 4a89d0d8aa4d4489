"""Whether a case trains or is held out: decided once, by a salted hash, and the same for all images of a patient."""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

Role = Literal["train", "holdout"]
"""What a case is for: to learn from, or to measure on."""

HOLDOUT_SHARE = 0.2
"""Share of the patients that a new store holds out."""

_ROUNDS = 200_000


def group_of(salt: bytes, *, patient_key: str | None, image_sha256: str) -> str:
    """A pseudonym that all images of a patient share, or of the image alone where the patient is not known.

    Patient numbers are few enough to be tried out one by one, so that theirs is a slow hash.
    """
    key = (patient_key or "").strip()
    if key:
        return "p" + hashlib.pbkdf2_hmac("sha256", key.encode("utf-8", "surrogatepass"), salt, _ROUNDS).hex()[:24]
    return "i" + hmac.new(salt, image_sha256.encode(), "sha256").hexdigest()[:24]


def drawn_role(salt: bytes, group: str, share: float) -> Role:
    """The role that falls to a group: "holdout" with probability `share`, always the same for the same salt."""
    number = int.from_bytes(hmac.new(salt, b"role " + group.encode(), "sha256").digest()[:8], "big") / 2**64
    return "holdout" if number < share else "train"
