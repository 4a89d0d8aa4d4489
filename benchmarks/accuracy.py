"""UltraLightUNet against MONAI's networks in the same loop, data and augmentation: `python benchmarks/accuracy.py --data DIR --output DIR`.

The hippocampus (3D) and breast lesions (2D), in crops and pictures as the recipes draw them; of the hippocampus the small crops, which
let SwinUNETR take part on a CPU. Each network learns under two budgets: the same number of steps, and the same seconds of the processor,
samples included. Its learning rate is the best of `RATES`, each tried for a quarter of the steps and scored on the validation cases with
even numbers (by its training loss, where no rate has learnt to mark anything yet); reported are those with odd numbers, which chose
nothing. UltraLightUNet trains through the kernels that its recipes use. Every run goes on from its last checkpoint, and every finished one
is kept in OUTPUT, so the command can be stopped and given again.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import ptflops
import torch
from peers import PEERS_2D, PEERS_3D, parameters, peer
from results import machine, table, write_section
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent / "training"))
import breast_lesion
import hippocampus
import picture_recipe
from fused import fuse
from memory import keep_freed_memory
from pictures import Sampler as PictureSampler
from pictures import load as load_picture
from quoted import QUOTED
from validation import Label, bootstrap_interval, network_labels

from ultralightunet.losses import boundary_weighted_bce_iou, dice_cross_entropy
from ultralightunet.models import Model
from ultralightunet.networks import UltraLightUNet
from ultralightunet.training import Plan, Sample, fit

logger = logging.getLogger("accuracy")

RATES = (5e-4, 1e-3, 2e-3)
SEARCH = 0.25
"""Share of the equal steps that each rate gets in the search."""

OURS = "UltraLightUNet"


@dataclass(frozen=True)
class Task:
    """What is learnt, and how it is measured.

    Attributes:
        name: of the task.
        model: the facts that its recipe has; the network is exchanged.
        input: (C, *S) of what the network sees in training.
        peers: names of MONAI's networks.
        sample: training samples by number.
        loss: of the recipe.
        batch: samples in a step.
        scores: Dice of each of some validation cases.
        cases: validation cases.
    """

    name: str
    model: Model
    input: tuple[int, ...]
    peers: tuple[str, ...]
    sample: Callable[[int], Sample]
    loss: Callable[[Tensor, Tensor], Tensor]
    batch: int
    scores: Callable[[Label, Sequence[Path]], Any]
    cases: list[Path]

    def network(self, name: str) -> nn.Module:
        """A new network, the same weights each time."""
        torch.manual_seed(0)
        architecture = self.model.architecture
        if name == OURS:
            return UltraLightUNet(**architecture.to_dict())
        channels = {"in_channels": architecture.in_channels, "out_channels": architecture.out_channels}
        # nnU-Net plans four levels for crops of this size.
        return peer(name, spatial_dims=architecture.spatial_dims, levels=4, **channels)


@dataclass(frozen=True)
class Budget:
    """How long each network may learn: a number of steps, or seconds of the processor."""

    name: str
    steps: int = 0
    seconds: float = 0.0

    def plan(self, rate: float, batch: int) -> Plan:
        """The plan of a training; where only seconds count, steps know no end."""
        steps = self.steps or 10**7
        warm_up = min(100, max(1, steps // 10))
        return Plan(steps, batch, rate, warm_up=warm_up, every=min(250, steps), seconds=self.seconds)


def hippocampus_task(data: Path, variant: str) -> Task:
    """The recipe's small crops."""
    model = hippocampus.model_facts(data, variant)
    training, validation = hippocampus.split(data / "hippocampus")

    @cache
    def sampler() -> hippocampus.Sampler:
        return hippocampus.Sampler([hippocampus.load(path, model) for path in training], early=sys.maxsize)

    def scores(label: Label, images: Sequence[Path]) -> Any:
        return hippocampus.scores(label, list(images)).mean(1)

    size = (1, *hippocampus.EARLY_SIZE)
    return Task("hippocampus", model, size, PEERS_3D, lambda n: sampler()(n), dice_cross_entropy, 2, scores, validation)


def breast_task(data: Path, variant: str) -> Task:
    """Pictures of 256x256 pixels, as the recipe changes them; each is seen once, not mirrored besides, so that one pass is compared."""
    recipe = breast_lesion.task(data / "busi", data, variant)

    @cache
    def sampler() -> PictureSampler:
        pictures = [load_picture(path, channels=recipe.channels) for path in recipe.training]
        return PictureSampler(pictures, recipe.augment, recipe.model, batch_size=picture_recipe.BATCH, scales=(1.0,))

    def scores(label: Label, images: Sequence[Path]) -> Any:
        return picture_recipe.scores(label, images)[:, 0]

    size = (recipe.model.architecture.in_channels, *breast_lesion.SIZE)
    loss, batch = boundary_weighted_bce_iou, picture_recipe.BATCH
    return Task(
        "breast lesion",
        replace(recipe.model, mirrored=()),
        size,
        PEERS_2D,
        lambda n: sampler()(n),
        loss,
        batch,
        scores,
        list(recipe.validation),
    )


def trained(task: Task, name: str, budget: Budget, rate: float, checkpoint: Path) -> tuple[nn.Module, float]:
    """The network at the end of its budget, and the training loss of the last stretch; infinite where that was another run's."""
    network = task.network(name)
    fuse(network)
    work = fit(
        network,
        task.sample,
        task.loss,
        budget.plan(rate, task.batch),
        checkpoint=checkpoint,
        clock=time.process_time if budget.seconds else time.perf_counter,
    )
    value = math.inf
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            return stop.value, value
        value = event.loss
        logger.info("%s, %s: step %d, loss %.3f, %.0f s", task.name, name, event.step, event.loss, event.seconds)


def chosen_rate(task: Task, name: str, steps: int, folder: Path) -> float:
    """The best of `RATES` by the even validation cases, and by the training loss where none has learnt to mark anything yet.

    Each is tried for so many steps; what came out is kept in `folder`.
    """
    kept = folder / "rates.json"
    tried = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    if tried and tried[0]["steps"] != steps:
        raise SystemExit(f"expected rates tried for {steps} steps in {kept}, found {tried[0]['steps']}; choose another --output")
    for rate in RATES[len(tried) :]:
        network, loss = trained(task, name, Budget("search", steps=steps), rate, folder / f"search-{rate:g}.pt")
        dice = float(task.scores(network_labels(network, task.model), task.cases[::2]).mean())
        tried.append({"rate": rate, "steps": steps, "dice": dice, "loss": loss})
        logger.info("%s, %s: rate %g gives %.4f", task.name, name, rate, dice)
        write_json(kept, tried)
    return float(max(tried, key=lambda one: (one["dice"], -one["loss"]))["rate"])


def write_json(path: Path, content: Any) -> None:
    """Whole or not at all."""
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(content, indent=2), encoding="utf-8")
    os.replace(beside, path)


def compared(task: Task, name: str, budget: Budget, rate: float, folder: Path) -> dict[str, Any]:
    """Train and measure one network, or take what an earlier run of the same budget left."""
    folder = folder / budget.name
    result = folder / "result.json"
    if result.exists():
        kept: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        if kept["budget"] == asdict(budget):
            return kept
        raise SystemExit(f"expected results of {asdict(budget)} in {folder}, found {kept['budget']}; choose another --output")
    folder.mkdir(parents=True, exist_ok=True)
    network, _ = trained(task, name, budget, rate, folder / "checkpoint.pt")
    cases = task.cases[1::2]
    began = time.process_time()
    dice = task.scores(network_labels(network, task.model), cases)
    seconds = (time.process_time() - began) / len(cases)
    low, high = bootstrap_interval(dice)
    operations, _ = ptflops.get_model_complexity_info(
        task.network(name).eval(), task.input, backend="aten", as_strings=False, print_per_layer_stat=False
    )
    step = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)["step"]
    found = {
        "budget": asdict(budget),
        "rate": rate,
        "steps": step,
        "parameters": parameters(network),
        "operations": (operations or 0) / 1e9,
        "dice": float(dice.mean()),
        "interval": [low, high],
        "cases": len(cases),
        "cpu_seconds": seconds,
    }
    write_json(result, found)
    return found


def text_of(tasks: Sequence[Task], found: dict[tuple[str, str, str], dict[str, Any]], threads: int) -> str:
    """The section of the results: one table for each task, and the quoted rows."""
    parts = []
    head = ("network", "M parameters", "G operations", "budget", "rate", "steps", "Dice", "95 % interval", "CPU s per case")
    for task in tasks:
        rows = []
        for (of, name, budget), result in found.items():
            if of == task.name:
                low, high = result["interval"]
                rows.append(
                    (
                        name,
                        f"{result['parameters']:.2f}",
                        f"{result['operations']:.2f}",
                        budget,
                        f"{result['rate']:g}",
                        result["steps"],
                        f"{result['dice']:.4f}",
                        f"{low:.3f} to {high:.3f}",
                        f"{result['cpu_seconds']:.2f}",
                    )
                )
        parts += [f"### {task.name}", table(head, rows)]
    parts += ["### Quoted, not measured here", table(("network", "M parameters", "G operations", "Dice", "source"), QUOTED)]
    return "\n\n".join((*parts, f"{(__doc__ or '').splitlines()[0]} {machine(threads, f'PyTorch {torch.__version__}')}"))


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds hippocampus/ and busi/")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and results")
    parser.add_argument("--tasks", nargs="+", choices=("hippocampus", "breast"), default=["hippocampus", "breast"])
    parser.add_argument("--networks", nargs="+", help="these alone")
    parser.add_argument("--steps", type=int, default=2000, help="the equal-steps budget")
    parser.add_argument("--seconds", type=float, default=1800, help="the equal-seconds budget, of the processor")
    parser.add_argument("--variant", default="B", help="width of UltraLightUNet")
    parser.add_argument("--cases", type=int, help="only so many validation cases, for a try")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few steps and two cases, to see that it works; writes nothing down")
    parser.add_argument("--print-only", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.seconds, options.cases, options.print_only = 2, 2.0, 2, True
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    makers = {"hippocampus": hippocampus_task, "breast": breast_task}
    tasks = [makers[name](options.data, options.variant) for name in options.tasks]
    budgets = (Budget("steps", steps=options.steps), Budget("seconds", seconds=options.seconds))
    found = {}
    for task in tasks:
        del task.cases[options.cases or len(task.cases) :]
        for name in options.networks or (OURS, *task.peers):
            folder = options.output / task.name.replace(" ", "-") / name
            folder.mkdir(parents=True, exist_ok=True)
            rate = chosen_rate(task, name, max(1, round(SEARCH * options.steps)), folder)
            for budget in budgets:
                found[task.name, name, budget.name] = compared(task, name, budget, rate, folder)
                text = text_of(tasks, found, options.threads)
                if not options.print_only:
                    write_section("Against the big ones", text)
    print(text)


if __name__ == "__main__":
    main()
