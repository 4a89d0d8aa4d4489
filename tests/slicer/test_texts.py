"""Whatever the module tells a user can be translated: Slicer collects the literals within `_()`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slicer.doubles import MODULE

SENTENCE = re.compile(r"[A-Za-z]{2,}[,:;]? [a-z]{2,}|[a-z]…")

FILES = [MODULE / "UltraLightSegmenter.py", *sorted((MODULE / "UltraLightSegmenterLib").glob("*.py"))]


HEARD = {"_NOT_WRITABLE", "_NO_SPACE", "_NO_CONNECTION", "_REASON", "_NO_REASON"}
"""Constants that hold what others say."""

NAMES = {"The UltraLight contributors", " Use the new version?"}
"""What is no text of ours: a name, and the end of a sentence of the core's that is taken away."""


def untranslated(tree: ast.AST) -> Iterator[str]:
    """Sentences that stand outside of `_()`, and those within that are no plain literals."""
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in ("_", "translate"):
        yield from (ast.unparse(argument) for argument in tree.args if not isinstance(argument, ast.Constant))
        return
    if isinstance(tree, ast.Assert) or (isinstance(tree, ast.Assign) and {ast.unparse(name) for name in tree.targets} & HEARD):
        return
    if isinstance(tree, ast.Call) and ast.unparse(tree.func).startswith("_LOG."):
        return
    if isinstance(tree, ast.Dict):
        for value in tree.values:
            yield from untranslated(value)
        return
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str) and SENTENCE.search(tree.value) and tree.value not in NAMES:
        yield tree.value
    for child in ast.iter_child_nodes(tree):
        # A docstring, or what is written below a constant.
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from untranslated(child)


@pytest.mark.parametrize("path", [path for path in FILES if path.stem != "selftest"], ids=lambda path: path.stem)
def test_every_text_for_a_user_can_be_translated(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Test")]
    tree.body = [node for node in tree.body if node not in tests]
    assert list(untranslated(tree)) == []
