"""Which scans a folder, a list or a DICOM study holds, and what they are called."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.scans import noise
from tests.cohort.scans import scans
from tests.io_files import dicom, dicom_series, write_nii
from tests.small_models import small_model
from ultralightunet.cohort import Case, Plan, in_shard, plan_cohort
from ultralightunet.errors import InputError
from ultralightunet.models import Model


@pytest.fixture(scope="module")
def flat_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("flat") / "slice", name="slice", spatial_dims=2, window=(64, 64))


def plan(root: Path, model: Model, **options: object) -> Plan:
    return plan_cohort(root, model, output=root.parent / "out", **options)  # type: ignore[arg-type]


def names(found: Plan) -> list[str]:
    return [case.name for case in found.cases]


def empty(folder: Path, *paths: str) -> Path:
    """Files whose names count, not what is in them."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"-")
    return folder


# ---- folders


def test_every_image_of_a_tree_is_a_case_named_after_its_path(tmp_path: Path, model: Model) -> None:
    root = empty(tmp_path / "in", "b/anat/T1.v2.nii.gz", "b/anat/T2.nrrd", "a.mgz", "c/d/e/deep.mha")
    found = plan(root, model)
    assert names(found) == ["a", "b/anat/T1.v2", "b/anat/T2", "c/d/e/deep"]
    assert [case.image.relative_to(root).as_posix() for case in found.cases] == [
        "a.mgz",
        "b/anat/T1.v2.nii.gz",
        "b/anat/T2.nrrd",
        "c/d/e/deep.mha",
    ]


def test_what_is_no_image_is_no_case(tmp_path: Path, model: Model) -> None:
    root = empty(
        tmp_path / "in", "scan.nii.gz", "README", "table.tsv", "scan.json", ".hidden.nii.gz", ".trash/old.nii.gz", "drawn.seg.nrrd"
    )
    assert names(plan(root, model)) == ["scan"]


def test_pictures_are_cases_for_a_model_of_pictures_only(tmp_path: Path, model: Model, flat_model: Model) -> None:
    root = empty(tmp_path / "in", "scan.nii.gz", "preview.png")
    assert names(plan(root, model)) == ["scan"]
    assert names(plan(root, flat_model)) == ["preview", "scan"]


def test_the_two_files_of_a_pair_are_one_case_and_a_change_of_either_is_noticed(tmp_path: Path, model: Model) -> None:
    root = empty(tmp_path / "in", "pair.hdr", "pair.img")
    (case,) = plan(root, model).cases
    before = case.fingerprint()
    (root / "pair.img").write_bytes(b"others")
    assert case.image.name == "pair.hdr"
    assert case.fingerprint() != before


def test_the_folder_for_results_inside_the_images_is_passed_by(tmp_path: Path, model: Model) -> None:
    root = empty(tmp_path / "in", "scan.nii.gz", "out/labels/scan.nii.gz")
    assert names(plan_cohort(root, model, output=root / "out")) == ["scan"]
    with pytest.raises(InputError, match="expected another folder for the results"):
        plan_cohort(root, model, output=tmp_path / "in" / ".." / "in")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such links")
def test_links_are_followed_and_one_that_leads_back_does_no_harm(tmp_path: Path, model: Model) -> None:
    root = empty(tmp_path / "in", "sub/scan.nii.gz")
    empty(tmp_path / "elsewhere", "far.nii.gz")
    (root / "sub" / "back").symlink_to(root, target_is_directory=True)
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert names(plan(root, model)) == ["linked/far", "sub/scan"]


def test_patterns_choose_by_name_or_path(tmp_path: Path, model: Model) -> None:
    root = empty(tmp_path / "in", "a/x_T1w.nii.gz", "a/x_T2w.nii.gz", "b/x_T1w.nii.gz")
    assert names(plan(root, model, match=["*_T1w.nii.gz"])) == ["a/x_T1w", "b/x_T1w"]
    assert names(plan(root, model, match=["a/*"])) == ["a/x_T1w", "a/x_T2w"]


def test_two_images_of_one_name_are_refused_before_any_work(tmp_path: Path, model: Model) -> None:
    root = empty(tmp_path / "in", "a/Scan.nii.gz", "a/scan.nrrd")
    with pytest.raises(InputError, match="found a/Scan.nii.gz and a/scan.nrrd, both a/Scan; rename one"):
        plan(root, model)


def test_a_folder_without_images_says_so(tmp_path: Path, model: Model) -> None:
    root = empty(tmp_path / "in", "notes.txt")
    with pytest.raises(InputError, match="expected images for volume in .*, found none; choose another folder"):
        plan(root, model)
    with pytest.raises(InputError, match="found nothing at"):
        plan(tmp_path / "nowhere", model)
    with pytest.raises(InputError, match="expected a folder or a list"):
        plan(empty(tmp_path, "one.nii.gz") / "one.nii.gz", model)


# ---- lists


def test_a_list_names_images_from_its_own_folder_on(tmp_path: Path, model: Model) -> None:
    far = empty(tmp_path / "far", "c.nii.gz") / "c.nii.gz"
    (tmp_path / "list.txt").write_text(f"sub a/T1.nii.gz\n\nb.nrrd\n{far}\n../up.nii\n")
    found = plan(tmp_path / "list.txt", model)
    assert names(found) == ["b", "sub a/T1", str(far.with_name("c")).lstrip("/"), "up"]
    assert [case.image for case in found.cases] == [tmp_path / "b.nrrd", tmp_path / "sub a/T1.nii.gz", far, tmp_path / "../up.nii"]


def test_a_table_may_name_cases_and_series(tmp_path: Path, model: Model) -> None:
    (tmp_path / "list.tsv").write_text('name\timage\tseries\n../../x/O"Neill\tscans/1.nii.gz\t\n2\tdicom\t1.2.3\n')
    (tmp_path / "list.csv").write_text('image,name\n"a,b.nii.gz","one, two"\n')
    first, second = plan(tmp_path / "list.tsv", model).cases
    assert (first.name, first.series) == ("2", "1.2.3")
    assert (second.name, second.stem) == ('x/O"Neill', 'labels/x/O"Neill')
    assert [(case.name, case.source) for case in plan(tmp_path / "list.csv", model).cases] == [("one, two", "a,b.nii.gz")]


@pytest.mark.parametrize("text", ["name\tpath\n1\ta.nii\n", "image\tname\n\tx\n", "image\tname\na.nii\t..\n"])
def test_a_table_without_images_or_names_is_refused(tmp_path: Path, model: Model, text: str) -> None:
    (tmp_path / "list.tsv").write_text(text)
    with pytest.raises(InputError, match="^expected a (column|table with a column|name)"):
        plan(tmp_path / "list.tsv", model)


# ---- DICOM


def study(folder: Path) -> Path:
    """A study with its series in one folder, as an archive sends it, and one in a folder of its own."""
    values = noise((10, 20, 24)).astype(np.int16)
    for uid, (what, modality, slices) in enumerate((("T1 MPRAGE", "MR", 10), ("localizer", "MR", 3), ("thorax", "CT", 10)), 1):
        stack = folder / f"stack {uid}"
        stack.mkdir(parents=True)
        dicom_series(stack, values[:slices], Modality=modality, SeriesInstanceUID=f"1.2.{uid}", SeriesDescription=what)
        for path in list(stack.iterdir()):
            path.rename(folder / f"{uid}-{path.name}")
        stack.rmdir()
    (folder / "deeper").mkdir()
    dicom_series(folder / "deeper", values, Modality="MR", SeriesInstanceUID="1.2.9")
    return folder


def test_each_fitting_series_of_a_study_is_a_case_and_why_others_are_none_is_told(tmp_path: Path, model: Model) -> None:
    found = plan(study(tmp_path / "in").parent / "in", model)
    assert [(case.name, case.series) for case in found.cases] == [("deeper", ""), ("in/1.2.1", "1.2.1")]
    assert found.passed_by == (
        ".: the series localizer has 3 images, a volume has at least 8",
        ".: the series thorax is CT, volume is for MR",
    )


def test_a_description_that_is_asked_for_decides_alone(tmp_path: Path, model: Model) -> None:
    found = plan(study(tmp_path / "in"), model, series=["THORAX"])
    assert [case.series for case in found.cases] == ["1.2.3"]


def test_dicom_pictures_without_a_place_are_a_case_each_for_a_model_of_pictures(tmp_path: Path, flat_model: Model, model: Model) -> None:
    root = tmp_path / "in"
    (root / "echo").mkdir(parents=True)
    for name in ("first", "second"):
        dicom(root / "echo" / name, noise((20, 24)).astype(np.int16), Modality="MR")
    assert names(plan(root, flat_model)) == ["echo/first", "echo/second"]
    with pytest.raises(InputError, match="has 2 images"):
        plan(root, model)


def test_a_damaged_dicom_file_is_a_case_that_will_say_so(tmp_path: Path, model: Model) -> None:
    root = empty(tmp_path / "in", "sub/1.dcm")
    assert names(plan(root, model)) == ["sub"]


# ---- parts


def test_parts_make_the_whole_and_stay_the_same_when_the_folder_grows(tmp_path: Path) -> None:
    cases = [Case(f"sub-{n:03d}", tmp_path / f"{n}.nii") for n in range(100)]
    few, many = (([{case.name for case in in_shard(some, n, 3)} for n in (1, 2, 3)]) for some in (cases[:60], cases))
    assert sorted(name for part in many for name in part) == [case.name for case in cases]
    assert all(a <= b for a, b in zip(few, many, strict=True))
    with pytest.raises(InputError, match="expected a part from 1/3 to 3/3, found 4/3"):
        in_shard(cases, 4, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_names_may_hold_anything_that_a_file_may(tmp_path: Path, model: Model) -> None:
    odd = ["<script>alert(1)</script>", 'quo"te', "über", "with space", os.fsdecode(b"\xff\xfe")]
    root = tmp_path / "in"
    (root / "<script>alert(1)<").mkdir(parents=True)
    scans(root, *odd)
    found = plan(root, model)
    assert sorted(names(found)) == sorted(odd)
    assert "\\udcff\\udcfe.nii" in [case.source for case in found.cases]


def test_a_case_whose_image_has_gone_has_no_fingerprint(tmp_path: Path) -> None:
    write_nii(tmp_path / "a.nii", noise())
    case = Case("a", tmp_path / "a.nii")
    assert case.fingerprint()
    (tmp_path / "a.nii").unlink()
    assert case.fingerprint() == ""
