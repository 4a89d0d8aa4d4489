"""From an image's file to the file of its labels: what every command does that labels files. Free of any toolkit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..events import Progress
from ..io import check_target, read_image
from ..stopwatch import Stopwatch
from ..volume import Segmentation, Volume
from .request import Request
from .session import Session


@dataclass(frozen=True, eq=False)
class LabelledFile:
    """What became of a file.

    Attributes:
        image: as it was read.
        segmentation: its labels, as they were written.
        path: of the file of the labels.
        seconds: of each step, in their order.
    """

    image: Volume
    segmentation: Segmentation
    path: Path
    seconds: Mapping[str, float]


def label_file(
    session: Session,
    path: Path,
    wanted: Callable[[Volume], tuple[Request, Path]],
    *,
    volume_index: int | None = None,
    series: str | None = None,
) -> Generator[Progress, None, LabelledFile]:
    """Read an image, label it, and write its labels whole or not at all; yields and is cancelled as `Session.segment`.

    Args:
        session: keeps the engine warm from file to file.
        path: see `read_image`.
        wanted: is asked, once the image has been read, how it is to be labelled, and which file its labels go to.
        volume_index: see `read_image`.
        series: see `read_image`.

    Raises:
        InputError: if the image cannot be read or segmented so.
        ModelError: if the model cannot be used.
        OutputError: if the labels cannot be written; known before the work where the format cannot hold them.
    """
    watch = Stopwatch()
    with watch("reading"):
        image = read_image(path, volume_index=volume_index, series=series)
    request, target = wanted(image)
    check_target(image, target)
    segmentation = yield from session.segment(image, request)
    with watch("writing"):
        segmentation.save(target)
    seconds = {"reading": watch.seconds["reading"], **segmentation.facts["seconds"], "writing": watch.seconds["writing"]}
    return LabelledFile(image, segmentation, target, seconds)
