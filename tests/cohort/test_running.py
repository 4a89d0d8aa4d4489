"""A cohort is labelled once, whatever is done again is done for a reason, and the table tells all of it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import ultralightunet as ulu
from tests.cli.scans import everything_in, noise
from tests.cohort.scans import record, run, scans, table, voxels
from tests.io_files import write_nii
from ultralightunet.cohort import CaseEnded, CaseRecord, OneProcess, Recipe, open_place, plan_cohort, run_cohort
from ultralightunet.cohort.records import ClassVolume, read_record, write_record
from ultralightunet.cohort.warm_process import WarmProcess
from ultralightunet.corrections.files import image_hash
from ultralightunet.errors import InputError, ModelError, OutputError
from ultralightunet.events import finish
from ultralightunet.io import read_image
from ultralightunet.models import Model


def test_each_case_has_the_labels_that_segment_gives_and_a_record_beside_them(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "sub-01/T1", "sub-02/T1"), tmp_path / "out"
    summary, ended = run(root, out, model, process)
    assert (summary.done, summary.failed, summary.passed_over) == (2, 0, 0)
    for entry in ended:
        image = read_image(root / entry.image)
        expected = ulu.segment(image, model)
        np.testing.assert_array_equal(voxels(out / entry.labels), expected.labels)
        told = record(out, entry.case)
        assert told["state"] == "done"
        assert told["image_sha256"] == image_hash(image.array, image.affine, channels=1, has_spacing=True)
        assert (told["model"], told["model_sha256"]) == (model.id, model.sha256)
        assert {v["label"]: v["voxels"] for v in told["volumes"]} == expected.counts()
        assert 0.3 < told["confidence"] < 1
        assert told["seconds"] > 0
        assert "reading" in (out / "logs" / f"{entry.case}.log").read_text()
    told_of_run = json.loads((out / "run.json").read_text())
    assert told_of_run["recipe"] == asdict(Recipe.of(model, threads=1))


def test_what_is_doubted_is_flagged(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root = scans(tmp_path / "in", "whole")
    write_nii(root / "part.nii", noise((20, 26, 12)))
    summary, ended = run(root, tmp_path / "out", model, process)
    assert (summary.done, summary.flagged, summary.failed) == (2, 1, 0)
    assert [entry.verdict for entry in ended] == ["flagged", "done"]
    assert ended[0].warnings[0].startswith("expected 8 to 1000 ml of part 1, found ")


def test_the_table_has_a_row_for_each_case_and_says_what_its_columns_are(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "a", "b"), tmp_path / "out"
    (root / "bad.nii").write_bytes(b"no image")
    summary, _ = run(root, out, model, process)
    rows = table(summary.table)
    assert {name: row["state"] for name, row in rows.items()} == {"a": "done", "b": "done", "bad": "failed"}
    assert rows["a"]["part 1_ml"] == f"{record(out, 'a')['volumes'][0]['ml']:.3f}"
    assert rows["bad"]["failure"].startswith("expected a NIfTI image, found ")
    assert (rows["bad"]["labels"], rows["a"]["failure"]) == ("n/a", "n/a")
    said = json.loads((out / "cohort.json").read_text())
    assert list(said) == list(rows["a"])
    assert all(column["Description"] for column in said.values())


# ---- again


def test_the_same_again_does_nothing_again(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "a", "b"), tmp_path / "out"
    run(root, out, model, process)
    before = everything_in(out)
    summary, ended = run(root, out, model, process)
    assert (summary.done, summary.passed_over, ended) == (2, 2, [])
    assert everything_in(out) == before


def test_a_folder_that_grew_has_only_the_new_ones_done(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "a"), tmp_path / "out"
    run(root, out, model, process)
    scans(root, "b")
    summary, ended = run(root, out, model, process)
    assert ([entry.case for entry in ended], summary.done) == (["b"], 2)


def test_another_image_of_the_name_is_done_again_and_the_earlier_labels_are_kept(
    tmp_path: Path, model: Model, process: WarmProcess
) -> None:
    root, out = scans(tmp_path / "in", "sub/a", "b"), tmp_path / "out"
    run(root, out, model, process)
    earlier = (out / "labels/sub/a.nii.gz").read_bytes()
    write_nii(root / "sub/a.nii", noise(seed=99))
    _, ended = run(root, out, model, process)
    assert [entry.case for entry in ended] == ["sub/a"]
    assert (out / "earlier/labels/sub/1-a.nii.gz").read_bytes() == earlier
    np.testing.assert_array_equal(voxels(out / "labels/sub/a.nii.gz"), ulu.segment(root / "sub/a.nii", model).labels)


def test_the_same_image_saved_anew_keeps_its_labels_which_a_person_may_have_changed(
    tmp_path: Path, model: Model, process: WarmProcess
) -> None:
    root, out = scans(tmp_path / "in", "a"), tmp_path / "out"
    run(root, out, model, process)
    (out / "labels/a.nii.gz").write_bytes(b"corrected by hand")
    os.utime(root / "a.nii", (1, 1))
    _, (entry,) = run(root, out, model, process)
    assert (entry.state, entry.seconds) == ("done", record(out, "a")["seconds"])
    assert (out / "labels/a.nii.gz").read_bytes() == b"corrected by hand"
    assert not (out / "earlier").exists()
    assert run(root, out, model, process)[1] == []


@pytest.mark.parametrize("lost", ["labels", "record"])
def test_what_was_lost_is_made_again(tmp_path: Path, model: Model, process: WarmProcess, lost: str) -> None:
    root, out = scans(tmp_path / "in", "a"), tmp_path / "out"
    run(root, out, model, process)
    before = (out / "labels/a.nii.gz").read_bytes()
    if lost == "labels":
        (out / "labels/a.nii.gz").unlink()
    else:
        (out / "labels/a.json").write_text('{"case": "a", "state"')
    _, ended = run(root, out, model, process)
    assert [entry.state for entry in ended] == ["done"]
    assert (out / "labels/a.nii.gz").read_bytes() == before
    assert record(out, "a")["state"] == "done"


def test_what_failed_is_tried_again_when_asked_for_or_changed(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "good"), tmp_path / "out"
    (root / "bad.nii").write_bytes(b"half a file")
    assert run(root, out, model, process)[0].failed == 1
    summary, ended = run(root, out, model, process)
    assert (summary.failed, summary.passed_over, ended) == (1, 2, [])
    assert [entry.case for entry in run(root, out, model, process, retry_failed=True)[1]] == ["bad"]
    write_nii(root / "bad.nii", noise(seed=5))
    summary, ended = run(root, out, model, process)
    assert (summary.done, summary.failed, [entry.case for entry in ended]) == (2, 0, ["bad"])


def test_other_options_do_all_again_in_a_folder_of_their_own(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "a"), tmp_path / "out"
    first, _ = run(root, out, model, process)
    before = everything_in(out)
    second, ended = run(root, out, model, process, step=1.0)
    assert [entry.case for entry in ended] == ["a"]
    assert (first.folder, second.folder) == (out, out / f"{model.id}-{Recipe.of(model, step=1.0).key}")
    after = everything_in(out)
    assert {name: after[name] for name in before} == before
    assert run(root, out, model, process)[1] == []
    assert run(root, out, model, process, step=1.0)[1] == []


def test_parts_share_a_folder_and_the_last_one_makes_the_whole_table(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", *"abcdef"), tmp_path / "out"
    first, ended = run(root, out, model, process, shard=(1, 2))
    assert 0 < first.done == len(ended) < 6
    assert sorted({row["state"] for row in table(first.table).values()}) == ["done", "waiting"]
    second, others = run(root, out, model, process, shard=(2, 2))
    assert sorted(entry.case for entry in (*ended, *others)) == list("abcdef")
    assert {row["state"] for row in table(second.table).values()} == {"done"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_odd_names_come_back_as_they_are(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    odd = ["<script>alert(1)</script>", 'quo"te', "über", "tab\tline\nbreak", os.fsdecode(b"\xff")]
    root, out = scans(tmp_path / "in", *odd), tmp_path / "out"
    summary, _ = run(root, out, model, process)
    assert (summary.done, summary.failed) == (5, 0)
    assert all((out / "labels" / f"{name}.nii.gz").is_file() for name in odd)
    assert set(table(summary.table)) == {"<script>alert(1)</script>", 'quo"te', "über", "tab line break", "\\udcff"}
    assert run(root, out, model, process)[1] == []


# ---- records


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    entry = CaseRecord("ü", "done", "a.nii", volumes=(ClassVolume(1, "brain", 7, None),), confidence=0.5, warnings=("odd",))
    write_record(tmp_path / "sub" / "a.json", entry, within=tmp_path)
    assert read_record(tmp_path / "sub" / "a.json") == entry


@pytest.mark.parametrize("text", ["", "[]", "null", '{"state": "done"}', '{"case": "a", "image": "b", "state": "odd"}', '{"volumes": 3}'])
def test_a_damaged_record_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert read_record(tmp_path / "a.json") is None


def test_what_a_newer_version_tells_besides_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"case": "a", "image": "b", "state": "done", "mood": "good"}')
    assert read_record(tmp_path / "a.json") == CaseRecord("a", "done", "b")


# ---- places


def test_a_folder_with_labels_of_another_origin_is_refused(tmp_path: Path, model: Model) -> None:
    (tmp_path / "out" / "labels").mkdir(parents=True)
    with pytest.raises(OutputError, match="found labels of another origin in .*out; name another one"):
        open_place(tmp_path / "out", Recipe.of(model))


@pytest.mark.parametrize(
    ("text", "said"), [('{"schema": 99}', "those of a newer one"), ("{", "found it damaged"), ("[]", "found something else")]
)
def test_a_folder_that_cannot_be_understood_is_refused(tmp_path: Path, model: Model, text: str, said: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(OutputError, match=said):
        open_place(tmp_path, Recipe.of(model))


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, model: Model) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected to write to .*file.*, found an obstacle: "):
        open_place(tmp_path / "file" / "out", Recipe.of(model))


def test_another_model_under_the_same_name_ends_the_run(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root = scans(tmp_path / "in", "a")
    recipe = replace(Recipe.of(model), model_sha256="0" * 64)
    with pytest.raises(ModelError, match="expected volume@1.0.0 with the weights 000000000000, found "):
        finish(run_cohort(plan_cohort(root, model, output=tmp_path / "out"), tmp_path / "out", recipe, runner=OneProcess(process)))


def test_an_engine_that_is_not_to_be_had_ends_the_run_and_fails_no_case(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "a"), tmp_path / "out"
    with pytest.raises(ulu.UltraLightError, match="expected the device cpu for the engine openvino"):
        run(root, out, model, process, engine="openvino", device="cuda")
    assert table(out / "cohort.tsv")["a"]["state"] == "waiting"


def test_two_runs_of_one_part_are_refused(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "a", "b"), tmp_path / "out"
    recipe = Recipe.of(model, threads=1)
    with closing(run_cohort(plan_cohort(root, model, output=out), out, recipe, runner=OneProcess(process))) as first:
        next(first)
        with pytest.raises(OutputError, match="expected to be the only one at part 1 of 1 in .*out, found another run"):
            run(root, out, model, process)


def test_a_cancelled_run_keeps_what_has_ended_and_leaves_nothing_half(tmp_path: Path, model: Model) -> None:
    root, out = scans(tmp_path / "in", "a", "b", "c"), tmp_path / "out"
    work = run_cohort(plan_cohort(root, model, output=out), out, Recipe.of(model, threads=1))
    assert any(isinstance(event, CaseEnded) for event in work)
    next(work)
    work.close()
    states = {name: row["state"] for name, row in table(out / "cohort.tsv").items()}
    assert states["a"] == "done"
    assert states["c"] == "waiting"
    assert not list(out.rglob(".partial*"))
    assert run(root, out, model)[0].done == 3


def test_a_part_that_is_none_is_refused(tmp_path: Path, model: Model) -> None:
    root = scans(tmp_path / "in", "a")
    with pytest.raises(InputError, match="expected a part from 1/2 to 2/2, found 0/2"):
        run(root, tmp_path / "out", model, shard=(0, 2))
