"""Sample images in Slicer's module Sample Data, from files that the extension brings along."""

from __future__ import annotations

import re
from pathlib import Path

from slicer.i18n import tr as _

from .core import MODULE_FOLDER, sample_folder

CATEGORY = "UltraLight"


def samples() -> dict[str, tuple[str, str]]:
    """File -> what it is called in the module, and its node in the scene."""
    return {
        "colin27_t1.nii.gz": (_("Head MRI (Colin27)"), "Colin27"),
        "tumour_mri_1.nrrd": (_("Head MRI with a tumour 1"), "TumourMRI1"),
        "tumour_mri_2.nrrd": (_("Head MRI with a tumour 2"), "TumourMRI2"),
    }


def register_samples() -> None:
    """Add the samples that are there to Slicer's module Sample Data."""
    import SampleData

    folder = sample_folder()
    if folder is None:
        return
    sums = _checksums(folder)
    for file, (title, node_name) in samples().items():
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
