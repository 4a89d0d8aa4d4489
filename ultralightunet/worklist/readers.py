"""Who reads, and what they say: a name as it is given or as a salted hash, and notes of one line."""

from __future__ import annotations

import hashlib
import unicodedata
from functools import lru_cache

from ..errors import InputError

_LONGEST_NAME, _LONGEST_NOTE = 60, 1000
_ROUNDS = 200_000


def reader_key(name: str, *, salt: bytes | None) -> str:
    """What stands for a reader in a list.

    Args:
        name: as it is given; spaces around it do not count.
        salt: of the list, if it keeps hashes in place of names.

    Raises:
        InputError: if nobody is called so.
    """
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    if not plain or len(plain) > _LONGEST_NAME or plain.startswith(".") or not all(map(_is_of_a_name, plain)):
        raise InputError(
            f"expected a reader's name of at most {_LONGEST_NAME} letters, digits, spaces and . _ - ' @ +, found {name!r}; "
            "give a name, not a path"
        )
    return plain if salt is None else _hashed(plain, salt)


def one_line(text: str) -> str:
    """A note or a reason as one line that a terminal can show.

    Raises:
        InputError: if it is too long.
    """
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    if len(line) > _LONGEST_NOTE:
        raise InputError(f"expected a note of at most {_LONGEST_NOTE} characters, found {len(line)}; shorten it")
    return line


def _is_of_a_name(character: str) -> bool:
    return character in " ._-'@+" or unicodedata.category(character)[0] in "LMN"


@lru_cache(maxsize=100)
def _hashed(name: str, salt: bytes) -> str:
    """Names are few enough to be tried out one by one, so that it is a slow hash."""
    return "reader-" + hashlib.pbkdf2_hmac("sha256", name.encode(), salt, _ROUNDS).hex()[:16]
