"""Models among other processes and users: several install at once, links, pipes and permissions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.changes import everything_in
from tests.small_models import small_model
from ultralightunet import Model, ModelError, install_model, models
from ultralightunet.models import METADATA, WEIGHTS, read_model

INSTALL = """
import sys
from pathlib import Path
from ultralightunet import install_model
sys.stdin.readline()
print(install_model(Path(sys.argv[1])).folder)
"""


def test_processes_that_install_one_model_at_once_all_succeed(tmp_path: Path, model: Model, root: Path, ultralight_home: Path) -> None:
    command = [sys.executable, "-c", INSTALL, str(model.folder)]
    jobs = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(3)]
    # They import meanwhile, and then begin together.
    outs = {job.communicate("go\n", timeout=120)[0].strip() for job in jobs}
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert outs == {str(ultralight_home / "models" / "small" / "1.0.0")}
    assert [path.name for path in (ultralight_home / "models" / "small").iterdir()] == ["1.0.0"]


def test_a_model_that_another_process_installed_in_between_is_the_same_or_refused(
    tmp_path: Path, ultralight_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same, other = small_model(tmp_path / "same"), small_model(tmp_path / "other", seed=1)

    def overtaken(by: Model) -> None:
        def copy(source: Path, target: Path) -> None:
            shutil.copytree(source, target)
            shutil.copytree(by.folder, ultralight_home / "models" / "small" / "1.0.0")

        monkeypatch.setattr("ultralightunet.models.registry._copy", copy)

    overtaken(same)
    assert install_model(same.folder).sha256 == same.sha256
    shutil.rmtree(ultralight_home / "models" / "small" / "1.0.0")
    overtaken(other)
    with pytest.raises(ModelError, match="installed already with other weights"):
        install_model(same.folder)
    assert [path.name for path in (ultralight_home / "models" / "small").iterdir()] == ["1.0.0"]


@pytest.mark.parametrize("link", ["a file", "a folder", "itself", "nothing"])
def test_a_link_that_leads_out_of_a_model_folder_is_not_followed(tmp_path: Path, model: Model, ultralight_home: Path, link: str) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "letter").write_text("secret")
    private = tmp_path / "private"
    targets = {"a file": private / "letter", "a folder": private, "itself": model.folder, "nothing": tmp_path / "nowhere"}
    (model.folder / "README.md").symlink_to(targets[link])
    with pytest.raises(ModelError, match="found the link README.md that leads elsewhere; copy the files themselves"):
        install_model(model.folder)
    assert everything_in(ultralight_home) == {}
    (model.folder / "README.md").unlink()
    (model.folder / "README.md").symlink_to("LICENSE")
    assert (install_model(model.folder).folder / "README.md").read_text() == "CC0-1.0\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
@pytest.mark.parametrize("path", [METADATA, WEIGHTS, Path("README.md")], ids=str)
def test_a_pipe_in_a_model_folder_does_not_hang(model: Model, ultralight_home: Path, path: Path) -> None:
    (model.folder / path).unlink(missing_ok=True)
    os.mkfifo(model.folder / path)
    with pytest.raises(ModelError, match="is no file|found that README.md is none"):
        install_model(model.folder)
    assert everything_in(ultralight_home) == {}


def test_a_weight_file_that_is_far_too_large_is_not_read(model: Model) -> None:
    with (model.folder / WEIGHTS).open("r+b") as file:
        # Holes: nothing of it takes room on the disk.
        file.truncate(10**10)
    with pytest.raises(ModelError, match=r"found another thing: 10000000000 bytes are more than model.safetensors can hold"):
        read_model(model.folder).weights()


@pytest.mark.skipif(os.name != "posix", reason="permissions are another thing on Windows")
def test_on_a_shared_home_whoever_reads_the_models_reads_the_choice(tmp_path: Path, model: Model, ultralight_home: Path) -> None:
    ultralight_home.chmod(0o755)
    model.folder.chmod(0o700)
    before = os.umask(0o077)
    try:
        install_model(model.folder)
        models.set_current("small", "1.0.0")
    finally:
        os.umask(before)
    made = list((ultralight_home / "models").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o644}
    assert ultralight_home / "models" / "small" / "current" in made
