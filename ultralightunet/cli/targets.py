"""Where the labels of images go: found out, and tried, before any work begins."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InputError, OutputError
from ..io import WRITABLE_SUFFIXES, output_paths


def targets_of(images: list[Path], output: Path) -> dict[Path, Path]:
    """The file that each image's labels go to."""
    if len(images) == 1 and not output.is_dir():
        if not output.name.lower().endswith(tuple(WRITABLE_SUFFIXES)):
            raise InputError(
                f"expected an output file ending in one of {', '.join(WRITABLE_SUFFIXES)}, or an existing folder, found {output}"
            )
        if output.exists() and images[0].exists() and output.samefile(images[0]):
            raise InputError(f"expected another name than the image's own, found {output}: labels would replace the image")
        targets = {images[0]: output}
    elif not output.is_dir() and (output.exists() or output.name.lower().endswith(tuple(WRITABLE_SUFFIXES))):
        raise InputError(f"expected a folder for the labels of {len(images)} images, found the name of a file: {output}; name a folder")
    else:
        targets = output_paths(images, output)
    for target in targets.values():
        # Found out now rather than after minutes of work.
        nearest = next(folder for folder in target.absolute().parents if folder.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            raise OutputError(f"expected a folder that can be written, found {nearest}; choose another place for {target.name}")
    return targets
