"""From labelled slices to the whole object: `python benchmarks/propagation.py --data DIR`.

Given are the true masks of the middle slice, or of three slices (the first quarter, the middle, the last quarter) of each object. Beside
what the network makes of them: the fill between slices that looks at shapes only, which leaves what lies beyond the outer slices empty.
Of `acdc` nothing was trained on; the hippocampus cases are those that the prompt network was not trained on.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from results import machine, table, write_section

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "training")]

from validation import bootstrap_interval  # noqa: E402

from ultralightunet.inference.outlines import between  # noqa: E402
from ultralightunet.io import read_image, read_labels  # noqa: E402
from ultralightunet.metrics import dice  # noqa: E402
from ultralightunet.prompting import PromptSession  # noqa: E402
from ultralightunet.prompting.network import prompt_engine  # noqa: E402
from ultralightunet.volume import Volume  # noqa: E402

Case = tuple[Volume, np.ndarray]


def cases(data: Path, count: int) -> dict[str, list[Case]]:
    """Volumes with one object each, by task."""
    hearts = sorted((data / "acdc" / "val" / "images").glob("*.nii.gz"))
    crops = sorted((data / "hippocampus" / "labelsTr").glob("*.nii.gz"))[1::2][:count]
    return {
        "acdc, left ventricle": [(read_image(p), read_labels(p.parent.parent / "labels" / p.name).labels == 3) for p in hearts],
        "hippocampus": [
            (read_image(data / "hippocampus" / "imagesTr" / p.name.replace(".nii", "_0000.nii")), read_labels(p).labels > 0) for p in crops
        ],
    }


def given(target: np.ndarray, number: int) -> np.ndarray:
    """`target` in its middle slice, or in three slices, and nothing elsewhere."""
    full = np.flatnonzero(target.any((1, 2)))
    chosen = full[[len(full) // 2]] if number == 1 else full[[len(full) // 4, len(full) // 2, (3 * len(full)) // 4]]
    start = np.zeros_like(target)
    start[chosen] = target[chosen]
    return start


def filled(start: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """By shape only."""
    mask = start.copy()
    known = np.flatnonzero(start.any((1, 2)))
    for first, last in pairwise(known):
        for step, depth in between(start[first], start[last], int(last - first), spacing[1:]):
            mask[first + step] = depth > 0
    return mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--cases", type=int, default=20, help="of the hippocampus")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    engine = prompt_engine(threads=options.threads)
    rows = []
    for task, some in cases(options.data, options.cases).items():
        for number in (1, 3):
            scores, seconds, shapes = [], [], []
            for image, target in some:
                start = given(target, number)
                session = PromptSession(image, start=start, axis=0, engine=engine)
                began = time.perf_counter()
                scores.append(dice(session.propagate(), target))
                seconds.append(time.perf_counter() - began)
                shapes.append(dice(filled(start, image.spacing), target))
            low, high = bootstrap_interval(np.array(scores))
            rows.append(
                [
                    task,
                    number,
                    len(some),
                    f"{np.mean(scores):.3f} ({low:.3f} to {high:.3f})",
                    f"{np.mean(shapes):.3f}",
                    f"{np.median(seconds):.2f}",
                ]
            )
            print(*rows[-1], flush=True)
    head = ["task", "labelled slices", "volumes", "network, mean Dice (95 % interval)", "fill between", "median seconds"]
    text = f"""`python benchmarks/propagation.py --data DIR`; {machine(options.threads)}

{table(head, rows)}
"""
    write_section("From labelled slices to the whole object", text)


if __name__ == "__main__":
    main()
