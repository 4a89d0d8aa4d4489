"""Kills the processes of a cohort at random moments, again and again, until it is done all the same.

python -m tests.cohort.killing FOLDER --cases 1000 --workers 20 --commands 5
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.scans import noise
from tests.io_files import write_nii
from tests.waiting import until

PARTS = 2
SHAPE = (20, 24, 28)


@dataclass
class Killed:
    """A cohort in two parts at once whose processes are killed.

    Attributes:
        root: its images.
        out: the folder for its results.
        model: the model's folder.
        workers: how many workers were killed.
        commands: how many commands were killed, each started again.
    """

    root: Path
    out: Path
    model: Path
    workers: int = 0
    commands: int = 0
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _starts: int = 0

    def run(self, *, workers: int, commands: int, seed: int = 0) -> None:
        """Begin, kill at so many moments spread over the whole work, and go on until all is done."""
        chance = random.Random(seed)
        count = len(list(self.root.iterdir()))
        kinds = ["worker"] * workers + ["command"] * commands
        chance.shuffle(kinds)
        # Up to four fifths of the cases, so that there is somebody to kill.
        moments = sorted(chance.sample(range(1, max(count * 4 // 5, len(kinds) + 1)), len(kinds)))
        for part in range(1, PARTS + 1):
            self._start(part)
        for moment, kind in zip(moments, kinds, strict=True):
            until(lambda moment=moment: self.done >= moment or not self._alive())
            time.sleep(chance.uniform(0, 0.1))
            self._kill(kind, chance)
        for part, process in self._running.items():
            code = process.wait()
            assert code == 0, (part, code, (self.out.parent / f"err-{part}.txt").read_text())

    @property
    def done(self) -> int:
        """How many records there are."""
        return len(list((self.out / "labels").glob("*.json"))) if (self.out / "labels").is_dir() else 0

    def told(self) -> list[str]:
        """The names of the cases that were told of as ended, by all commands together."""
        lines = [line for path in self.out.parent.glob("said-*.txt") for line in path.read_text().split("\n")]
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [event["case"] for event in events if event["event"] == "case"]

    def _alive(self) -> list[int]:
        return [part for part, process in self._running.items() if process.poll() is None]

    def _start(self, part: int) -> None:
        self._starts += 1
        command = [sys.executable, "-m", "ultralightunet", "cohort", str(self.root), str(self.out), "--model", str(self.model)]
        place = self.out.parent
        with (place / f"said-{self._starts}.txt").open("wb") as said, (place / f"err-{part}.txt").open("ab") as err:
            self._running[part] = subprocess.Popen(
                [*command, "--shard", f"{part}/{PARTS}", "--threads", "1", "--json"], stdout=said, stderr=err, stdin=subprocess.DEVNULL
            )

    def _kill(self, kind: str, chance: random.Random) -> None:
        alive = self._alive()
        if not alive:
            return
        part = chance.choice(alive)
        process = self._running[part]
        if kind == "command":
            process.kill()
            process.wait()
            self.commands += 1
            self._start(part)
            return
        for child in children_of(process.pid):
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
            self.workers += 1


def children_of(process: int) -> list[int]:
    """The processes that a process has started (Linux)."""
    try:
        return [int(child) for path in Path(f"/proc/{process}/task").glob("*/children") for child in path.read_text().split()]
    except OSError:
        return []


def make_scans(folder: Path, count: int) -> Path:
    """So many small scans, each with other voxels."""
    folder.mkdir(parents=True)
    for number in range(count):
        write_nii(folder / f"scan {number:04d}.nii", noise(SHAPE, seed=number))
    return folder


def main() -> None:
    """The whole of it, by numbers from the command line."""
    from tests.cohort.scans import run, voxels
    from tests.small_models import small_model

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--commands", type=int, default=5)
    options = parser.parse_args()
    root = make_scans(options.folder / "in", options.cases)
    model = small_model(options.folder / "model", name="volume", seed=3)
    cohort = Killed(root, options.folder / "out", model.folder)
    cohort.run(workers=options.workers, commands=options.commands)
    summary, _ = run(root, options.folder / "one", model)
    same = sum(
        bool((voxels(path) == voxels(options.folder / "one" / "labels" / path.name)).all())
        for path in (cohort.out / "labels").glob("*.nii.gz")
    )
    left = [path.name for path in cohort.out.rglob(".partial*")]
    sys.stdout.write(
        f"{cohort.workers} workers and {cohort.commands} commands killed; {cohort.done} of {options.cases} cases done, {same} equal to one "
        f"process voxel for voxel ({summary.done}), {len(cohort.told()) - len(set(cohort.told()))} told of twice, {len(left)} half files\n"
    )


if __name__ == "__main__":
    main()
