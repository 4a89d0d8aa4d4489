"""UltraLightUNet against MONAI's networks in the same loop, data and augmentation: `python benchmarks/accuracy.py --data DIR --output DIR`.

The hippocampus (3D, in the recipe's small crops, which let SwinUNETR take part on a CPU) and breast lesions (2D, at one scale). Each
network learns under two budgets: the same number of steps, and the same seconds of the processor, samples included. Its learning rate is
the best of `RATES`, each tried for a quarter of the steps and scored on the validation cases with even numbers (by its training loss, where
no rate has learnt to mark anything yet); reported are those with odd numbers, on which no rate was chosen. Augmentation, loss and finishing
are those of UltraLightUNet's recipes, which were developed on all validation cases, so they favour it. It trains through the kernels that
its recipes use, the others in the memory layout in which a step of theirs is the quickest. Images are labelled through windows of the size
that was trained. Every finished training is kept in OUTPUT and goes on from its last checkpoint, so the command can be stopped and given
again.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ptflops
import torch
from accuracy_tasks import MAKERS, NETWORKS, OURS, Task
from peers import parameters
from quoted import HEAD as QUOTED_HEAD
from quoted import QUOTED
from results import machine, table, write_section
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "training"))
from memory import keep_freed_memory
from validation import bootstrap_interval, network_labels

from ultralightunet.io import read_image
from ultralightunet.learning.training import Plan, fit

logger = logging.getLogger("accuracy")

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
SEARCH = 0.25
"""Share of the equal steps that each rate gets in the search."""

WARM_UP = 10
"""Steps, for every network, budget and search."""


@dataclass(frozen=True)
class Budget:
    """How long each network may learn: a number of steps, or seconds of the processor."""

    name: str
    steps: int = 0
    seconds: float = 0.0

    def plan(self, rate: float, batch: int) -> Plan:
        """The plan of a training; where only seconds count, steps know no end."""
        steps = self.steps or 10**7
        return Plan(steps, batch, rate, warm_up=WARM_UP, every=min(250, steps), seconds=self.seconds)


def fastest_layout(task: Task, name: str) -> torch.memory_format:
    """The memory layout in which a training step takes the least time of the processor."""
    last = torch.channels_last if task.model.spatial_dims == 2 else torch.channels_last_3d
    if name == OURS:
        return last
    images, targets = map(torch.stack, zip(*(task.sample(n) for n in range(task.batch)), strict=True))
    times = {}
    for layout in (torch.contiguous_format, last):
        network = task.network(name).train().to(memory_format=layout)  # type: ignore[call-overload]
        for _ in range(2):
            began = time.process_time()
            task.loss(network(images.contiguous(memory_format=layout)), targets).backward()
            times[layout] = time.process_time() - began
    return min(times, key=lambda layout: times[layout])


def trained(task: Task, name: str, budget: Budget, rate: float, checkpoint: Path | None) -> tuple[nn.Module, float]:
    """The network at the end of its budget, and the training loss of the last stretch."""
    work = fit(
        task.network(name),
        task.sample,
        task.loss,
        budget.plan(rate, task.batch),
        checkpoint=checkpoint,
        clock=time.process_time if budget.seconds else time.perf_counter,
        layout=fastest_layout(task, name),
    )
    value = math.nan
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            return stop.value, value
        value = event.loss
        logger.info("%s, %s: step %d, loss %.3f, %.0f s", task.name, name, event.step, event.loss, event.seconds)


def scores(task: Task, network: nn.Module, cases: Sequence[Path]) -> tuple[np.ndarray, float]:
    """Dice of each case, and the seconds of the processor that labelling one took."""
    label, found, seconds = network_labels(network, task.model), [], 0.0
    for path in cases:
        image = read_image(path)
        began = time.process_time()
        labels = label(image)
        seconds += time.process_time() - began
        found.append(task.score(labels, path))
    return np.array(found), seconds / len(cases)


def search_steps(steps: int) -> int:
    """How long each rate is tried where the equal steps are so many."""
    return max(1, round(SEARCH * steps))


def chosen_rate(task: Task, name: str, steps: int, folder: Path, settings: dict[str, Any]) -> float:
    """The best of `RATES` by the even validation cases, and by the training loss where none has learnt to mark anything yet.

    Each is tried for so many steps; what came out is kept in `folder`.
    """
    path, settings = folder / "rates.json", {**settings, "steps": steps, "rates": RATES}
    tried = kept(path, settings) or {"tried": []}
    for rate in RATES[len(tried["tried"]) :]:
        network, loss = trained(task, name, Budget("search", steps=steps), rate, None)
        dice = float(scores(task, network, task.cases[::2])[0].mean())
        tried["tried"].append({"rate": rate, "dice": dice, "loss": loss})
        logger.info("%s, %s: rate %g gives %.4f", task.name, name, rate, dice)
        keep(path, settings, tried)
    return float(max(tried["tried"], key=lambda one: (one["dice"], -one["loss"]))["rate"])


def kept(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier run with the same settings kept there."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    wanted = json.loads(json.dumps(settings))
    if found.pop("settings") != wanted:
        raise SystemExit(f"expected results of {wanted} in {path}, found those of other settings; choose another --output")
    return found


def keep(path: Path, settings: dict[str, Any], found: dict[str, Any]) -> None:
    """Write results down, whole or not at all."""
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps({"settings": settings, **found}, indent=2), encoding="utf-8")
    os.replace(beside, path)


def compared(task: Task, name: str, budget: Budget, rate: float, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Train and measure one network, or take what an earlier run of the same settings left."""
    path, settings = folder / f"{budget.name}.json", {**settings, "budget": asdict(budget)}
    found = kept(path, settings)
    if found:
        return found
    checkpoint = folder / f"{budget.name}.pt"
    network, _ = trained(task, name, budget, rate, checkpoint)
    dice, seconds = scores(task, network.eval(), task.cases[1::2])
    operations, _ = ptflops.get_model_complexity_info(
        task.network(name).eval(), task.input, backend="aten", as_strings=False, print_per_layer_stat=False
    )
    found = {
        "rate": rate,
        "steps": torch.load(checkpoint, map_location="cpu", weights_only=True)["step"],
        "parameters": parameters(network),
        "operations": (operations or 0) / 1e9,
        "dice": float(dice.mean()),
        "interval": bootstrap_interval(dice),
        "cases": len(dice),
        "cpu_seconds": seconds,
    }
    keep(path, settings, found)
    return found


def row(name: str, budget: str, found: dict[str, Any]) -> tuple[object, ...]:
    """A line of the table; a rate at the end of `RATES` is marked, because a better one may lie beyond."""
    low, high = found["interval"]
    edge = " (end of the range)" if found["rate"] in (RATES[0], RATES[-1]) else ""
    sizes = f"{found['parameters']:.2f}", f"{found['operations']:.2f}"
    return (
        name,
        *sizes,
        budget,
        f"{found['rate']:g}{edge}",
        found["steps"],
        f"{found['dice']:.4f}",
        f"{low:.3f} to {high:.3f}",
        f"{found['cpu_seconds']:.2f}",
    )


def text_of(task_rows: dict[str, list[tuple[object, ...]]], tasks: Sequence[Task], options: argparse.Namespace) -> str:
    """The section of the results: one table for each task, and the quoted rows."""
    parts = [
        f"Same loop, data and augmentation; width {options.variant} of UltraLightUNet; {options.steps} equal steps, or {options.seconds:g} "
        f"seconds of the processor; one seed. Short budgets: they say who learns quickly, not who is best in the end. The rate is "
        f"the best of {', '.join(f'{rate:g}' for rate in RATES)} after {search_steps(options.steps)} steps each; a network that has found "
        "nothing by then shows little of which suits it."
    ]
    head = ("network", "M parameters", "G operations", "equal", "rate", "steps", "Dice", "95 % interval", "CPU s per case")
    for task in tasks:
        size, count = "x".join(map(str, task.input)), len(task.cases[1::2])
        about = f"{count} cases; input and windows {size}, {task.batch} in a batch."
        parts += [f"### {task.name}", about, table(head, task_rows[task.name])]
    parts += ["### Quoted, not measured here", table(QUOTED_HEAD, QUOTED)]
    command = f"python benchmarks/accuracy.py --data DIR --output DIR --steps {options.steps} --seconds {options.seconds:g}"
    return "\n\n".join((*parts, f"`{command}`. {machine(options.threads, f'PyTorch {torch.__version__}')}"))


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds hippocampus/ and busi/")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and results")
    parser.add_argument("--tasks", nargs="+", choices=tuple(MAKERS), default=list(MAKERS), help="these alone; writes nothing down")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, help="these alone; writes nothing down")
    parser.add_argument("--steps", type=int, default=2000, help="the equal-steps budget")
    parser.add_argument("--seconds", type=float, default=1800, help="the equal-seconds budget, of the processor")
    parser.add_argument("--variant", default="B", help="width of UltraLightUNet")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few steps and two cases, to see that it works; writes nothing down")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.seconds = 2, 2.0
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    tasks = [MAKERS[name](options.data, options.variant) for name in options.tasks]
    budgets = (Budget("steps", steps=options.steps), Budget("seconds", seconds=options.seconds))
    rows: dict[str, list[tuple[object, ...]]] = {task.name: [] for task in tasks}
    for task in tasks:
        del task.cases[2 if options.quick else len(task.cases) :]
        settings = {
            "variant": options.variant,
            "threads": options.threads,
            "cases": len(task.cases),
            "input": task.input,
            "spacing": task.model.spacing,
        }
        for name in (OURS, *task.peers):
            if options.networks and name not in options.networks:
                continue
            folder = options.output / task.name.replace(" ", "-") / name
            folder.mkdir(parents=True, exist_ok=True)
            rate = chosen_rate(task, name, search_steps(options.steps), folder, settings)
            rows[task.name] += [row(name, budget.name, compared(task, name, budget, rate, folder, settings)) for budget in budgets]
    text = text_of(rows, tasks, options)
    print(text)
    if not options.quick and not options.networks and len(tasks) == len(MAKERS):
        write_section("Against the big ones", text)


if __name__ == "__main__":
    main()
