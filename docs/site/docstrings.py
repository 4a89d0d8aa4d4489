r"""Docstrings as this project writes them, in Sphinx's language: everything but `code` and examples means just what it says.

So (N, C, *S) needs no escape where the docstring is written, NAME@VERSION is no address, and `Volume` links to the page that describes it.
"""

from __future__ import annotations

import re
import sys

from public_names import MODULES, NAMES, can_be_called
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

_PAGES = {name.rpartition(".")[2]: name for name in reversed(NAMES)}
"""Of each public name the full one."""

_CODE = re.compile(r"`([^`]+)`")
_ARGUMENTS = re.compile(r"\s+\*{1,2}\w+: ")
_MARKUP = re.compile(r"[*|@\\]|(?<=\w)_(?=\W|$)")


_HIDDEN = ["", ":meta hide-value:", ""]
"""Added to what is said of a constant whose value would be a path or an address on the machine that builds the site."""


def in_sphinx(line: str, *, is_linked: bool = True) -> str:
    """A line of prose; `is_linked` says whether its code becomes links."""
    start = _ARGUMENTS.match(line)
    prose, code = line[start.end() if start else 0 :], []

    def kept(found: re.Match[str]) -> str:
        code.append(_link(found[1], is_linked=is_linked))
        return "\0"

    prose = _MARKUP.sub(r"\\\g<0>", _CODE.sub(kept, prose))
    # Sphinx sees code only where a word could begin and end.
    prose = re.sub(r"(?<=[^\s(])\0", "\\ \0", re.sub(r"\0(?=\w)", "\0\\ ", prose))
    return (start[0] if start else "") + re.sub("\0", lambda _: code.pop(0), prose)


def _link(code: str, *, is_linked: bool) -> str:
    first, _, rest = code.partition(".")
    if re.fullmatch(r"[A-Za-z_][\w.]*", code) and is_linked and not first.isupper():
        full = ".".join(filter(None, (_PAGES.get(first, first), rest)))
        return f":py:obj:`{code} <{full}>`"
    return f"``{code}``"


def translate(app: Sphinx, kind: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Called by Sphinx for each docstring, before its sections are looked for."""
    if kind in ("data", "property"):
        # Else the words before a colon would be taken for a type.
        lines.insert(0, "")
    in_example = False
    # A module speaks of modules, which are called like functions here and there.
    for number, line in enumerate(lines):
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>> "))
        if not in_example:
            lines[number] = in_sphinx(line, is_linked=kind != "module")


def describe_constants() -> None:
    """Let Sphinx know what is said of a constant also in the module that passes it on; it looks only where it is defined."""
    for name, thing in NAMES.items():
        if can_be_called(thing):
            continue
        module, _, constant = name.rpartition(".")
        # That of the same package first, because two packages may have one of the same name.
        ours = (other for other in sys.modules if other.startswith(MODULES[0]))
        ours = sorted(ours, key=lambda other: (not other.startswith(module), other))
        said = next(filter(None, (ModuleAnalyzer.for_module(other).find_attr_docs().get(("", constant)) for other in ours)))
        ModuleAnalyzer.for_module(module).attr_docs["", constant] = [*said, *([] if isinstance(thing, int | float | tuple) else _HIDDEN)]


def parsable(app: Sphinx, kind: str, name: str, thing: object, options: object, signature: str | None, result: str | None) -> object:
    """A dataclass's signature as Sphinx can read it, where a field has a default that is made anew for each instance."""
    return signature and (signature.replace("<factory>", "..."), result)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", translate, priority=100)
    app.connect("builder-inited", lambda app: describe_constants())
    app.connect("autodoc-process-signature", parsable)
    return {"parallel_read_safe": True}
