"""What happens to files: facts that are odd, and bytes that are others; drawn by Hypothesis."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = ("", ".", "..", "../../outside", "/outside", "a/b", "a\\b", "a\0b", "\ud800", "a\nb", "\x1b[2J", "x" * 300, "nan", "{}", "海馬")
ODD_NUMBERS = (0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e308, float("nan"), float("inf"))

odd_values: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(ODD_TEXTS),
    st.integers(-5, 300),
    st.lists(st.sampled_from((0, 1, -1, "a", None, [])), max_size=5),
    st.dictionaries(st.sampled_from(("a", "0", "case", "cases")), st.sampled_from((0, "a", None, [])), max_size=3),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value within a value, but to itself."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, each in inner for place in ((*path, key), *_places(each, (*path, key)))]


@st.composite
def damaged_json(draw: st.DrawFn, facts: Any) -> bytes:
    """A file of JSON in which one to three values are others, missing or doubled, or whose bytes are damaged."""
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged_bytes(json.dumps(facts, indent=2).encode()))
    found = copy.deepcopy(facts)
    for _ in range(draw(st.integers(1, 3))):
        places = _places(found)
        if not places:
            break
        *way, key = draw(st.sampled_from(places))
        holder = found
        for step in way:
            holder = holder[step]
        what = draw(st.sampled_from(("other", "other", "other", "gone", "renamed")))
        if what == "gone":
            del holder[key]
        elif what == "renamed" and isinstance(holder, dict):
            holder[draw(st.sampled_from(ODD_TEXTS))] = holder.pop(key)
        else:
            holder[key] = draw(odd_values)
    return json.dumps(found).encode()


@st.composite
def damaged_bytes(draw: st.DrawFn, blob: bytes) -> bytes:
    """A file that was cut short, or of which a few bytes, or a stretch of them, are others."""
    place = draw(st.integers(0, max(0, len(blob) - 1)))
    what = draw(st.sampled_from(("cut", "flipped", "overwritten", "inserted", "empty")))
    if what == "cut":
        return blob[:place]
    if what == "flipped":
        return blob[:place] + bytes([blob[place] ^ (1 << draw(st.integers(0, 7)))]) + blob[place + 1 :]
    other = draw(st.binary(min_size=1, max_size=40))
    return b"" if what == "empty" else blob[:place] + other + blob[place + (len(other) if what == "overwritten" else 0) :]
