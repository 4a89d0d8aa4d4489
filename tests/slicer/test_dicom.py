"""From a DICOM series, read by Slicer, to a DICOM segmentation of it, through the panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib.keeping import DICOM_SEG, FORMATS

from tests.io_files import dicom_series
from tests.slicer.conftest import rotation
from tests.slicer.pointer import voxels_of
from tests.slicer.qt_doubles import FileDialog
from tests.slicer.user import Slicer

highdicom = pytest.importorskip("highdicom")

SHAPE = (8, 24, 28)


def read_by_slicer(folder: Path) -> Any:
    """A series as the module DICOM loads it: all its files, in their order in space."""
    files = sorted(folder.iterdir())
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(files[0]))
    for file in files:
        storage.AddFileName(str(file))
    storage.SetSingleFile(False)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    assert storage.ReadData(node)
    return node


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({}, np.uint16),
        ({"RescaleIntercept": -1024, "RescaleSlope": 1}, np.int32),
        ({"RescaleIntercept": -3, "RescaleSlope": 0.1}, np.float64),
    ],
    ids=["plain", "offset", "slope"],
)
def test_a_series_becomes_a_segmentation_of_itself(user: Slicer, tmp_path: Path, tags: dict[str, Any], kind: Any) -> None:
    """Slicer reads values with an offset or a slope in a wider type than the core does; the image is the same."""
    turn = rotation(25) @ rotation(10, axis=0)
    stack = np.random.default_rng(3).integers(0, 1200, SHAPE).astype(np.uint16)
    lps = dicom_series(tmp_path / "series", stack, orientation=(*turn[:3, 0], *turn[:3, 1]), PatientName="Secret^Name", **tags)
    volume = read_by_slicer(tmp_path / "series")
    assert slicer.util.arrayFromVolume(volume).dtype == kind
    user.enter()
    user.choice.model = "small@1.0.0"
    user.wait()
    node = user.segment()
    painted = np.zeros(SHAPE, np.uint8)
    painted[1:4, 3:11, 5:22] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, "Segment_1", volume)
    others = voxels_of(node, "Segment_2", volume)
    user.ui.saveButton.click()
    user.wait()
    assert "Saved as" in user.ui.keepStatus.text
    user.ui.formatSelector.currentIndex = list(FORMATS).index(DICOM_SEG)
    FileDialog.answer = str(tmp_path / "series")
    user.ui.dicomButton.click()
    FileDialog.answer = str(tmp_path / "exported")
    user.ui.exportButton.click()
    user.wait()
    assert user.ui.keepStatus.text.startswith("Exported 1 case(s)"), user.ui.keepStatus.text
    (path,) = (tmp_path / "exported").iterdir()
    found = highdicom.seg.segread(path)
    assert [found.get_segment_description(n).segment_label for n in (1, 2)] == ["part 1", "part 2"]
    assert b"Secret" not in path.read_bytes()
    theirs = found.get_volume(combine_segments=True, allow_missing_positions=True)
    expected = np.where(others, 2, painted)
    for label in (1, 2):
        # highdicom's own axes are slices, rows and columns, and it leaves out slices without labels at the ends.
        places = np.c_[np.argwhere(theirs.array == label), np.ones(np.count_nonzero(theirs.array == label))] @ theirs.affine.T
        voxels = np.rint(places @ np.linalg.inv(lps).T)[:, 2::-1].astype(int)
        np.testing.assert_array_equal(np.unique(voxels, axis=0), np.argwhere(expected == label))
