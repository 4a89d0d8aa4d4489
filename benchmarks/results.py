"""One file of results for all benchmarks: each rewrites its own section and leaves the others alone."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
HEADER = "# Results\n\nEach section is written by the command that it names; do not edit by hand.\n"


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def machine(threads: int, *versions: str) -> str:
    """A line on where and when: processor, cores, threads, how busy, further versions, date."""
    load = f"load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    parts = [processor(), f"{os.cpu_count()} cores", f"{threads} thread{'s' if threads > 1 else ''}", load, platform.system(), *versions]
    return ", ".join(part for part in parts if part) + f"; {datetime.date.today().isoformat()}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [list(map(str, head)), ["---"] * len(head), *(list(map(str, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_section(title: str, text: str, *, path: Path = RESULTS) -> None:
    """Replace the section `title` of the results, or add it at the end."""
    old = path.read_text(encoding="utf-8") if path.exists() else HEADER
    section = f"## {title}\n\n{text.strip()}\n"
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if pattern.search(old):
        new = pattern.sub(lambda found: section + ("\n" if found.end() < len(old) else ""), old, count=1)
    else:
        new = old.rstrip("\n") + "\n\n" + section
    beside = path.with_suffix(".partial")
    beside.write_text(new, encoding="utf-8")
    os.replace(beside, path)
