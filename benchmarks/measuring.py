"""What the benchmarks of speed share: options, taking turns, medians, a written section."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
from results import machine, write_section

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent
sys.path.insert(0, str(ROOT))


@dataclass
class Times:
    """Wall-clock and processor seconds of each repeat of one thing."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the wall-clock seconds."""
        return statistics.median(self.wall)

    @property
    def cpu_median(self) -> float:
        """Of the processor seconds."""
        return statistics.median(self.cpu)


def options(description: str, *, repeats: int = 7, add: Callable[[argparse.ArgumentParser], Any] | None = None) -> argparse.Namespace:
    """The options that every benchmark has, and those that `add` adds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help="runs that the medians are taken from")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--quick", action="store_true", help="once, on something small, to see that it works; writes nothing down")
    parser.add_argument("--print-only", action="store_true", help="leave RESULTS.md and the plots as they are")
    if add is not None:
        add(parser)
    found = parser.parse_args()
    if found.quick:
        found.repeats, found.print_only = 1, True
    if found.repeats < 5 and not found.print_only:
        parser.error("expected at least 5 repeats for figures that are written down")
    return found


def take_turns(work: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Times]:
    """Run everything once to warm up, then `repeats` times in turns, so that a busy moment meets all alike."""
    times = {name: Times() for name in work}
    for number in range(repeats + 1):
        for name, run in work.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if number:
                times[name].wall.append(time.perf_counter() - wall)
                times[name].cpu.append(time.process_time() - cpu)
    return times


def report(title: str, text: str, found: argparse.Namespace, *versions: str) -> None:
    """Print a section of the results, and write it down unless told not to."""
    command = f"`python benchmarks/{Path(sys.argv[0]).name} --threads {found.threads}`"
    text = "\n\n".join((text.strip(), f"{command}. {machine(found.threads, *versions)}"))
    print(f"{title}\n\n{text}")
    if not found.print_only:
        write_section(title, text)


def save_plot(figure: Any, name: str, found: argparse.Namespace) -> str:
    """Write a plot beside the results; the Markdown that shows it."""
    if not found.print_only:
        figure.savefig(FOLDER / name, dpi=100)
    plt.close(figure)
    return f"![{name}]({name})"
