"""What becomes a case of a new list, and what is told of the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.scans import everything_in
from tests.cohort.scans import run
from tests.small_models import small_model
from tests.worklist.lists import Clock, image, labels, listed, results, states
from ultralightunet.cohort import CaseRecord
from ultralightunet.cohort.records import write_record
from ultralightunet.errors import InputError, OutputError
from ultralightunet.worklist import Worklist, create_worklist


def test_every_image_of_a_folder_is_a_case_named_after_its_path(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "b", "sub/a")
    assert states(worklist) == {"b": "to do", "sub/a": "to do"}
    assert worklist.image_of(worklist.case("sub/a")).samefile(tmp_path / "images/sub/a.nii")


def test_of_a_bids_data_set_the_anatomical_images_are_taken(tmp_path: Path) -> None:
    root = tmp_path / "bids"
    for name in ("sub-01/anat/sub-01_T1w", "sub-02/ses-1/anat/sub-02_ses-1_T1w", "sub-01/func/sub-01_bold", "derivatives/x/sub-01/anat/m"):
        image(root / f"{name}.nii.gz")
    (root / "dataset_description.json").write_text("{}")
    worklist, passed_by = create_worklist(tmp_path / "list", root)
    assert list(states(worklist)) == ["sub-01/anat/sub-01_T1w", "sub-02/ses-1/anat/sub-02_ses-1_T1w"]
    assert passed_by == ()


def test_a_list_of_files_keeps_its_order_and_a_missing_one_does_not_stop_it(tmp_path: Path) -> None:
    image(tmp_path / "b.nii")
    image(tmp_path / "a.nii")
    (tmp_path / "mine.txt").write_text("b.nii\ngone.nii\na.nii\n")
    worklist, (told,) = create_worklist(tmp_path / "list", tmp_path / "mine.txt", order="listed")
    assert list(states(worklist)) == ["b", "a"]
    assert told == f"expected an image, found nothing at {tmp_path / 'gone.nii'}; check the name"


def test_an_image_that_comes_twice_is_listed_once(tmp_path: Path) -> None:
    image(tmp_path / "images/a.nii")
    shutil.copyfile(tmp_path / "images/a.nii", tmp_path / "images/copy.nii")
    image(tmp_path / "images/a.nii.gz", seed=1)
    worklist, passed_by = create_worklist(tmp_path / "list", tmp_path / "images")
    assert list(states(worklist)) == ["a"]
    assert passed_by == (
        "expected each image once, found a.nii.gz, which has the same name as a.nii; it is left out",
        "expected each image once, found copy.nii, which has the same image as a.nii; it is left out",
    )


def test_the_results_of_a_cohort_bring_labels_confidence_and_doubts(tmp_path: Path) -> None:
    model = small_model(tmp_path / "volume", name="volume", seed=3, plausible_ml={1: (500.0, 1000.0)})
    image(tmp_path / "images/a.nii")
    (tmp_path / "images/bad.nii").write_bytes(b"no image")
    _, ended = run(tmp_path / "images", tmp_path / "results", model)
    record = next(entry for entry in ended if entry.case == "a")
    worklist, _ = create_worklist(tmp_path / "list", tmp_path / "results")
    case = worklist.case("a")
    assert (case.state, case.model, case.confidence, case.doubts) == ("labelled", model.id, record.confidence, record.warnings)
    assert case.volumes == {str(volume.label): volume.voxels for volume in record.volumes}
    found = worklist.labels_of(case)
    assert found is not None
    assert found.samefile(tmp_path / "results" / record.labels)
    assert (worklist.case("bad").state, worklist.case("bad").notes[0][:14]) == ("to do", "not labelled: ")


def test_a_bids_derivative_brings_them_as_well(tmp_path: Path) -> None:
    place = "sub-01/anat/sub-01"
    image(tmp_path / f"bids/{place}_T1w.nii.gz")
    out = tmp_path / "out"
    (out / place).parent.mkdir(parents=True)
    labels(out / f"{place}_dseg.nii.gz")
    record = CaseRecord(f"{place}_T1w", "done", f"{place}_T1w.nii.gz", labels=f"{place}_dseg.nii.gz", confidence=0.9, uri="bids:raw:x")
    write_record(out / f"{place}_dseg.json", record, within=out)
    (out / "run.json").write_text(json.dumps({"schema": 1, "key": "k", "input": str(tmp_path / "bids")}))
    worklist, passed_by = create_worklist(tmp_path / "list", out)
    assert (states(worklist), passed_by) == ({f"{place}_T1w": "labelled"}, ())
    assert worklist.next("Anna").labels == tmp_path.resolve() / f"out/{place}_dseg.nii.gz"


def test_of_rated_cases_those_to_fix_are_listed_with_their_notes(tmp_path: Path) -> None:
    out = results(tmp_path, {"a": 0.9, "b": 0.8, "c": 0.7})
    table = tmp_path / "ratings.tsv"
    table.write_text("case\trating\tnote\timage\na\tgood\t\ta.nii\nb\tto fix\tleft side\tb.nii\ngone\tto fix\t\tgone.nii\n")
    worklist, passed_by = create_worklist(tmp_path / "list", out, ratings=table)
    assert [(case.name, case.notes) for case in worklist.cases()] == [("b", ("left side",))]
    assert passed_by == (f"expected an image of each rated case, found none for gone in {out}",)
    table.write_text("case\trating\na\tgood\n")
    with pytest.raises(InputError, match=r"expected cases rated 'to fix' in .*, found none; rate some in the report"):
        create_worklist(tmp_path / "other", out, ratings=table)


def test_nothing_is_written_over_and_nothing_is_left_of_a_list_that_cannot_be_made(tmp_path: Path) -> None:
    listed(tmp_path, "a")
    before = everything_in(tmp_path)
    with pytest.raises(OutputError, match=r"expected a new folder for the worklist, found something at "):
        create_worklist(tmp_path / "list", tmp_path / "images")
    with pytest.raises(InputError, match=r"expected images to list in .*, found none; choose another folder, --match or --ratings"):
        create_worklist(tmp_path / "other", tmp_path / "images", match=["*.nrrd"])
    with pytest.raises(InputError, match=r"expected a folder, a list .* of images, or results of a cohort, found nothing at "):
        create_worklist(tmp_path / "other", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"found 'gain', 0 and 24.0; correct what is wrong"):
        create_worklist(tmp_path / "other", tmp_path / "images", readers=0)
    assert everything_in(tmp_path) == before


def test_list_and_images_can_be_moved_together_or_the_images_named_anew(tmp_path: Path) -> None:
    listed(tmp_path / "one", "a")
    (tmp_path / "one").rename(tmp_path / "two")
    assert Worklist(tmp_path / "two/list").next("Anna").image == tmp_path.resolve() / "two/images/a.nii"
    (tmp_path / "two/images").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"expected the images of the worklist in .*images, found no such folder; say --images where"):
        Worklist(tmp_path / "two/list").next("Anna")
    assert Worklist(tmp_path / "two/list", images=tmp_path / "elsewhere").next("Anna").image == tmp_path / "elsewhere/a.nii"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"schema_version": 2}', "expected a worklist of version 1, found version 2 in .*, which a newer UltraLight wrote; update"),
        ('{"schema_version": 1, "cases', "expected a worklist, found a damaged .*; take it from a copy"),
        ('{"schema_version": 1, "cases": [{"name": "../../etc", "image": "a"}]}', "no case can be called '../../etc'"),
    ],
)
def test_a_list_that_is_damaged_newer_or_leads_elsewhere_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "worklist.json").write_text(text)
    with pytest.raises(InputError, match=told):
        Worklist(tmp_path)
    with pytest.raises(InputError, match=r"expected a worklist, found none at .*; check the name, or make one"):
        Worklist(tmp_path / "nowhere", clock=Clock())


def test_labels_that_a_model_makes_later_are_noted_if_they_lie_on_the_image(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a")
    case = worklist.label("a", labels(tmp_path / "a.nii.gz"), model="abdomen@1.0.0", confidence=0.8)
    assert (case.state, case.model, case.confidence, case.volumes) == ("labelled", "abdomen@1.0.0", 0.8, {"1": 24})
    other = image(tmp_path / "other.nii.gz")
    with pytest.raises(InputError, match=r"other.nii.gz"):
        worklist.label("a", other)
    assert worklist.next("Anna").labels == tmp_path.resolve() / "a.nii.gz"
