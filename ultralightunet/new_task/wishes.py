"""What a person may ask of a training in place of what the data suggest."""

from __future__ import annotations

from dataclasses import dataclass

from ..architecture import Norm


@dataclass(frozen=True)
class Wishes:
    """What overrides the choices made from the fingerprint, and how to train. None or empty leaves it to the fingerprint.

    Attributes:
        name: of the model.
        title: one line.
        modality: e.g. "MR".
        licence: of the weights.
        variant: a named width, see `VARIANTS`.
        channels: widths of the five stages in place of a named one.
        norm: "batch" or "instance"; None takes the latter for few cases.
        spacing: mm (k, j, i) or (j, i).
        size: pixels (j, i) that pictures are resized to.
        window: voxels of a window.
        intensity: "percentile", "window" or "scale".
        init: a model whose weights to start from where they fit, a name or folder; "none" for random ones; "" lets a training by time
            choose among random ones and those of shipped networks.
        minutes: of training, those before an interruption included.
        steps: of training, in place of minutes.
        batch_size: samples a step.
        learning_rate: at its peak.
        threads: of the CPU.
        device: "auto", "cpu", "cuda" or "mps".
        workers: threads that prepare samples.
        seed: of everything random.

    Example:
        >>> from ultralightunet.new_task import Wishes
        >>> Wishes(name="liver", variant="T", steps=2000).minutes  # of no account where there are steps
        20.0
    """

    name: str = ""
    title: str = ""
    modality: str = ""
    licence: str = "unknown"
    variant: str = ""
    channels: tuple[int, ...] = ()
    norm: Norm | None = None
    spacing: tuple[float, ...] = ()
    size: tuple[int, int] | None = None
    window: tuple[int, ...] = ()
    intensity: str = ""
    init: str = ""
    minutes: float = 20.0
    steps: int = 0
    batch_size: int = 0
    learning_rate: float = 2e-3
    threads: int | None = None
    device: str = "auto"
    workers: int = 1
    seed: int = 0
