"""Sample images in Slicer's module Sample Data, from files that the extension brings along."""

from __future__ import annotations

import re
from pathlib import Path

from .core import MODULE_FOLDER, sample_folder

CATEGORY = "UltraLight"

SAMPLES = {
    "colin27_t1.nii.gz": ("Head MRI (Colin27)", "Colin27"),
    "tumour_mri_1.nrrd": ("Head MRI with a tumour 1", "TumourMRI1"),
    "tumour_mri_2.nrrd": ("Head MRI with a tumour 2", "TumourMRI2"),
}
"""File -> what it is called in the module, and its node in the scene."""


def register_samples() -> None:
    """Add the samples that are there to Slicer's module Sample Data."""
    import SampleData

    folder = sample_folder()
    if folder is None:
        return
    sums = _checksums(folder)
    for file, (title, node_name) in SAMPLES.items():
        path = folder / file
        if not path.is_file():
            continue
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=title,
            thumbnailFileName=str(MODULE_FOLDER / "Resources" / "Icons" / f"{node_name}.png"),
            # The module copies from where a URL points to, which may be this disk.
            uris=path.as_uri(),
            fileNames=file,
            nodeNames=node_name,
            checksums=f"SHA256:{sums[file]}",
        )


def _checksums(folder: Path) -> dict[str, str]:
    """sha256 of each sample, from the list in its README."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return {name: value for value, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)}
