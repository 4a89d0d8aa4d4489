"""What we promise about people's data is held by tests that are there."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_promise_names_tests_that_exist(root: Path) -> None:
    rows = [line for line in (root / "docs" / "data-promises.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith("| promise |")]
    assert len(promises) > 10
    missing = []
    for promise in promises:
        names = re.findall(r"`([\w./]*)::(\w+)`", promise.split(" | ")[-1])
        assert names, promise
        path = ""
        for file, name in names:
            path = file or path
            if f"def {name}(" not in (root / path).read_text(encoding="utf-8"):
                missing.append(f"{path}::{name}")
    assert missing == []
