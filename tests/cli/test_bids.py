"""`ultralight bids`: a BIDS data set in, a BIDS derivative out, with the arguments of a BIDS App."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import ultralightunet as ulu
from tests.cli.scans import everything_in, noise
from tests.cohort.scans import table, voxels
from tests.command import Command, sentence
from tests.io_files import write_nii
from ultralightunet.models import Model

IMAGES = ("sub-01/anat/sub-01_T1w", "sub-01/anat/sub-01_T2w", "sub-02/ses-a/anat/sub-02_ses-a_T1w", "sub-02/ses-b/anat/sub-02_ses-b_T1w")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "study"
    for seed, name in enumerate(IMAGES):
        path = root / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nii(path, noise(seed=seed))
    (root / "dataset_description.json").write_text(json.dumps({"Name": "study", "BIDSVersion": "1.8.0"}))
    (root / "derivatives" / "other" / "sub-09" / "anat").mkdir(parents=True)
    return root


def test_participants_one_by_one_and_the_group(tmp_path: Path, dataset: Path, ultralight: Command, model: Model) -> None:
    out = dataset / "derivatives" / "ultralight"
    before = everything_in(dataset)
    done = ultralight("bids", dataset, out, "participant", "--participant-label", "01", "--model", model.folder)
    assert (done.code, done.err) == (0, "")
    stem = out / "sub-01" / "anat" / "sub-01_space-orig_desc-volume_dseg"
    np.testing.assert_array_equal(voxels(stem.with_suffix(".nii.gz")), ulu.segment(dataset / f"{IMAGES[0]}.nii.gz", model).labels)
    assert stem.with_suffix(".tsv").read_text().splitlines()[:2] == ["index\tname\tcolor\tsnomed", "0\tbackground\t#000000\tn/a"]
    sidecar = json.loads(stem.with_suffix(".json").read_text())
    assert (sidecar["state"], sidecar["Sources"], sidecar["Manual"]) == ("done", [f"bids:raw:{IMAGES[0]}.nii.gz"], False)
    described = json.loads((out / "dataset_description.json").read_text())
    assert (described["DatasetType"], described["DatasetLinks"]) == ("derivative", {"raw": "../.."})
    assert [path.name for path in out.glob("sub-*")] == ["sub-01"]

    assert ultralight("bids", dataset, out, "participant", "--participant-label", "sub-02", "--model", model.folder).code == 0
    assert ultralight("bids", dataset, out, "group", "--model", model.folder).code == 0
    assert {name: row["state"] for name, row in table(out / "cohort.tsv").items()} == dict.fromkeys((IMAGES[0], *IMAGES[2:]), "done")
    assert (out / "report.html").read_text().count("data:image/webp;base64,") == 3
    after = everything_in(dataset)
    assert {name: after[name] for name in before} == before


def test_contrasts_of_one_session_have_files_of_their_own(dataset: Path, tmp_path: Path, ultralight: Command, model: Model) -> None:
    done = ultralight("bids", dataset, tmp_path / "out", "participant", "--suffix", "T1w", "T2w", "--model", model.folder)
    assert done.code == 0
    assert sorted(path.name for path in (tmp_path / "out" / "sub-01" / "anat").glob("*.nii.gz")) == [
        "sub-01_space-orig_desc-volumeT2w_dseg.nii.gz",
        "sub-01_space-orig_desc-volume_dseg.nii.gz",
    ]


def test_a_tree_that_is_none_is_refused_unless_that_is_asked_for(tmp_path: Path, dataset: Path, ultralight: Command, model: Model) -> None:
    command = ("bids", dataset, tmp_path / "out", "participant", "--model", model.folder)
    for text, said in (
        ("{", "found a damaged "),
        ('{"Name": "x"}', "expected Name and BIDSVersion"),
        (None, "found no dataset_description.json"),
    ):
        if text is None:
            (dataset / "dataset_description.json").unlink()
        else:
            (dataset / "dataset_description.json").write_text(text)
        assert said in sentence(ultralight(*command))
    assert not (tmp_path / "out").exists()
    assert ultralight(*command, "--skip-bids-validation").code == 0


def test_what_is_not_there_is_one_sentence(tmp_path: Path, dataset: Path, ultralight: Command, model: Model) -> None:
    assert "expected another folder than the data set's own" in sentence(ultralight("bids", dataset, dataset, "participant"))

    def refused(*arguments: object) -> str:
        return sentence(ultralight("bids", dataset, tmp_path / "out", "participant", "--model", model.folder, *arguments))

    assert "expected participants with an image (01, 02), found none for 7 in " in refused("--participant-label", "7")
    assert "expected images sub-*/anat/*_FLAIR.nii.gz " in refused("--suffix", "FLAIR")


def test_the_derivative_is_valid(tmp_path: Path, dataset: Path, ultralight: Command, model: Model) -> None:
    validator = Path(sysconfig.get_path("scripts")) / "bids-validator-deno"
    if not validator.exists():
        pytest.skip("needs bids-validator-deno (pip install bids-validator-deno)")
    out = tmp_path / "out"
    assert ultralight("bids", dataset, out, "participant", "--suffix", "T1w", "T2w", "--report", "--model", model.folder).code == 0
    told = subprocess.run([validator, "--json", out], capture_output=True, text=True, check=False)
    found = json.loads(told.stdout)
    assert [issue for issue in found["issues"]["issues"] if issue["severity"] == "error"] == []
    assert found["summary"]["totalFiles"] > 12
