"""One training loop, for the shipped models, a new task and retraining alike."""

from __future__ import annotations

import logging
import math
import os
import pickle
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import OutputError, TrainingError
from ..events import Epoch
from .side_by_side import SideBySide

logger = logging.getLogger(__name__)

Sample = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn.

    Attributes:
        steps: optimiser steps in all.
        batch_size: samples per step.
        learning_rate: of AdamW at its peak, after `warm_up` steps; falls to a hundredth along a cosine.
        warm_up: steps of linear rise.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        average: decay of the running average of the weights, which is what is validated and kept.
        every: steps between validations and checkpoints.
        seconds: where above 0, the training ends once so much time has passed, and the learning rate falls with the time.

    Example:
        >>> from ultralightunet.learning.training import Plan
        >>> Plan(steps=2000, batch_size=2).learning_rate
        0.002
    """

    steps: int
    batch_size: int = 1
    learning_rate: float = 2e-3
    warm_up: int = 100
    weight_decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.998
    every: int = 250
    seconds: float = 0.0


def fit(
    network: nn.Module,
    sample: Callable[[int], Sample],
    loss: Callable[[Tensor, Tensor], Tensor],
    plan: Plan,
    *,
    checkpoint: Path | None,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    device: str = "cpu",
    workers: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    parallel: Callable[[nn.Module], nn.Module] | None = None,
    is_leader: bool = True,
    pace: Mapping[str, float] | None = None,
    side_by_side: int = 0,
    layout: torch.memory_format | None = None,
    stop: Callable[[], bool] | None = None,
) -> Generator[Epoch, None, nn.Module]:
    """Train `network`, going on from `checkpoint` where that exists; yields an `Epoch` every `plan.every` steps.

    Args:
        network: weights to start from; left in training state.
        sample: the training sample of a given number, (image (C, *S), classes (*S)); called from `workers` threads, each
            number once, so that a resumed training sees what an uninterrupted one would.
        loss: of logits (N, K, *S) and classes (N, *S).
        plan: see `Plan`.
        checkpoint: file, written at each yield and replaced whole; None for a training that is too short to go on with.
        validate: scores of the averaged network.
        device: a torch device.
        workers: threads that prepare samples ahead.
        clock: tells the seconds that `Plan.seconds` counts; another one than the wall's for measurements on a busy machine.
        parallel: wraps the network for training in several processes, such as PyTorch's `DistributedDataParallel`.
        is_leader: whether this process is the one of several that validates and writes the checkpoint.
        pace: of parts of the network by name, by what their learning rate is multiplied.
        side_by_side: where above 0, each sample of a batch has a loss of its own, of which the mean is taken, and so many are learned
            from at once; see `SideBySide`. It does not go together with `parallel`.
        layout: of images and weights in memory; None for channels last, which is the fastest for UltraLightUNet.
        stop: asked after each step; once it is true the training ends there, as if its time were up.

    Returns:
        The network with averaged weights, in evaluation state.

    Raises:
        TrainingError: if the loss is no longer a number, or the checkpoint is not of this training.
        OutputError: if a checkpoint cannot be written; the one before is kept.

    Example:
        >>> import torch
        >>> from ultralightunet import UltraLightUNet
        >>> from ultralightunet.events import finish
        >>> from ultralightunet.learning.losses import dice_cross_entropy
        >>> from ultralightunet.learning.training import Plan, fit
        >>> network = UltraLightUNet(in_channels=1, out_channels=2, variant="T")
        >>> sample = (torch.rand(1, 32, 32), torch.ones(32, 32, dtype=torch.long))
        >>> work = fit(network, lambda number: sample, dice_cross_entropy, Plan(steps=2, batch_size=2), checkpoint=None)
        >>> finish(work).training
        False
    """
    layout = layout or (torch.channels_last_3d if _spatial_dims(network) == 3 else torch.channels_last)
    network = network.to(device)
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    averaged = torch.optim.swa_utils.AveragedModel(network, avg_fn=_average(plan.average), use_buffers=True)
    optimizer = torch.optim.AdamW(_groups(network, plan.weight_decay, pace or {}), lr=plan.learning_rate)
    done, start = 0, clock()
    if checkpoint is not None and checkpoint.exists():
        done, seconds = _restore(checkpoint, network, averaged, optimizer, device, plan)
        start -= seconds
        logger.info("going on from step %d of %s", done, checkpoint)
    network.train()
    forward = parallel(network) if parallel else network
    together = SideBySide(network, loss, side_by_side) if side_by_side else None
    began, total, counted = time.perf_counter(), 0.0, 0
    finished = done > 0 and _share_done(plan, done, clock() - start) >= 1
    for step, (images, targets) in zip(() if finished else range(done, plan.steps), _batches(sample, plan, done, workers), strict=False):
        share = _share_done(plan, step, clock() - start)
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(plan, step, share) * group.get("pace", 1.0)
        images = images.to(device).contiguous(memory_format=layout)
        if together:
            value = together.gradients(images, targets.to(device))
        else:
            joint = loss(forward(images), targets.to(device))
            optimizer.zero_grad(set_to_none=True)
            joint.backward()
            value = float(joint.detach())
        nn.utils.clip_grad_norm_(network.parameters(), plan.clip)
        if not math.isfinite(value):
            raise TrainingError(f"the loss is {value} at step {step + 1}; go on from the last checkpoint with a lower learning rate")
        optimizer.step()
        averaged.update_parameters(network)
        total, counted = total + value, counted + 1
        share = _share_done(plan, step + 1, clock() - start)
        ends = share >= 1 or (stop is not None and stop())
        if (step + 1) % plan.every == 0 or ends:
            averaged.eval()
            scores = validate(averaged.module) if validate and is_leader else {}
            if checkpoint is not None and is_leader:
                _save(checkpoint, network, averaged, optimizer, step + 1, plan, clock() - start)
            yield Epoch(step + 1, round((step + 1) / share), total / counted, scores, time.perf_counter() - began)
            began, total, counted = time.perf_counter(), 0.0, 0
            network.train()
        if ends:
            break
    averaged.eval()
    result: nn.Module = averaged.module
    return result


def _spatial_dims(network: nn.Module) -> int:
    return 3 if any(isinstance(m, nn.Conv3d) for m in network.modules()) else 2


def _average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    def update(old: Tensor, new: Tensor, seen: Tensor | int) -> Tensor:
        # Early on the average forgets faster, so that it does not drag the random initial weights along.
        share = min(decay, (1 + float(seen)) / (10 + float(seen)))
        return old.lerp(new, 1 - share) if old.is_floating_point() else new

    return update


def _groups(network: nn.Module, weight_decay: float, pace: Mapping[str, float]) -> list[dict[str, Any]]:
    groups = []
    for part, factor in {"": 1.0, **pace}.items():
        own = [value for name, value in network.named_parameters() if (name.split(".")[0] if name.split(".")[0] in pace else "") == part]
        decayed, plain = [p for p in own if p.ndim > 1], [p for p in own if p.ndim <= 1]
        groups.append({"params": decayed, "weight_decay": weight_decay, "pace": factor})
        groups.append({"params": plain, "weight_decay": 0.0, "pace": factor})
    return groups


def _share_done(plan: Plan, step: int, seconds: float) -> float:
    """How much of a training is done, 1 at its end: by steps or by time, whichever is further."""
    return min(1.0, max(step / plan.steps, seconds / plan.seconds if plan.seconds > 0 else 0.0))


def _learning_rate(plan: Plan, step: int, share: float) -> float:
    if step < plan.warm_up:
        return plan.learning_rate * (step + 1) / plan.warm_up
    begun = plan.warm_up / plan.steps
    progress = (share - begun) / max(1e-6, 1 - begun)
    return plan.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def _batches(sample: Callable[[int], Sample], plan: Plan, done: int, workers: int) -> Iterator[Sample]:
    """Batches in the order of their samples' numbers, prepared ahead on threads."""
    numbers = iter(range(done * plan.batch_size, plan.steps * plan.batch_size))
    waiting: queue.Queue[Any] = queue.Queue()
    lock, stop = threading.Lock(), threading.Event()
    room = threading.Semaphore(plan.batch_size * 2 + workers)

    def work() -> None:
        while not stop.is_set():
            room.acquire()
            with lock:
                number = next(numbers, None)
            if number is None or stop.is_set():
                return
            try:
                waiting.put((number, sample(number)))
            except BaseException as error:  # noqa: BLE001 - handed to the training thread, which raises it
                waiting.put((number, error))
                return

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, workers))]
    for thread in threads:
        thread.start()
    ready: dict[int, Sample] = {}
    try:
        for step in range(done, plan.steps):
            wanted = range(step * plan.batch_size, (step + 1) * plan.batch_size)
            while not all(number in ready for number in wanted):
                number, item = waiting.get()
                if isinstance(item, BaseException):
                    raise item
                ready[number] = item
            images, targets = zip(*(ready.pop(number) for number in wanted), strict=True)
            for _ in wanted:
                room.release()
            yield torch.stack(images), torch.stack(targets)
    finally:
        stop.set()
        for _ in threads:
            room.release()


def _save(
    path: Path, network: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer, step: int, plan: Plan, seconds: float
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    state = {
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seconds": seconds,
        "plan": asdict(plan),
    }
    try:
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        # torch reports a full disk as a RuntimeError.
        raise OutputError(
            f"the checkpoint could not be written to {path}: {error}; free space there, then go on from the last one"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _restore(
    path: Path, network: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer, device: str, plan: Plan
) -> tuple[int, float]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, OSError, pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError) as error:
        raise TrainingError(
            f"expected a checkpoint of this training in {path}, found another or a damaged one ({str(error).splitlines()[0]}); "
            "move it away to begin anew"
        ) from error
    if state["plan"] != asdict(plan):
        logger.warning("the checkpoint %s was made with another plan: %s", path, state["plan"])
    return int(state["step"]), float(state.get("seconds", 0.0))
