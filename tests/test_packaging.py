"""The package works where people install it: in an empty environment, away from the checkout, without torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

from ultralightunet.io import read_labels

pytestmark = pytest.mark.slow

SHIPPED_LIMIT = 14e6
"""All shipped models together, in bytes, as they travel in the wheel."""
NOT_PART_OF_A_SOURCE_TREE = (".git", ".venv", ".*_cache", ".runs", "build", "dist", "output", "*.egg-info", "__pycache__", "*.log")


@dataclass(frozen=True)
class Built:
    """What `python -m build` made.

    Attributes:
        wheel: built from `sdist`.
        sdist: the source package.
    """

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel and what it depends on, and nothing else."""

    folder: Path

    def run(self, *command: str) -> str:
        """Run a program of the environment away from the checkout; returns what it prints.

        The test fails with the program's own words if it fails.
        """
        program = self.folder / ("Scripts" if os.name == "nt" else "bin") / command[0]
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        done = subprocess.run([program, *command[1:]], cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def python(self, code: str) -> str:
        """Run Python code in the environment; returns what it prints."""
        return self.run("python", "-I", "-c", code)

    def sample(self, name: str) -> Path:
        """A sample image inside the installed package."""
        return Path(self.python(f"import napari_ultralight; print(napari_ultralight.__path__[0] + '/sample_data/{name}', end='')"))


@pytest.fixture(scope="module")
def source_tree(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that building leaves no trace in it and finds none there."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    shutil.copytree(root, copy, symlinks=True, ignore=shutil.ignore_patterns(*NOT_PART_OF_A_SOURCE_TREE))
    return copy


@pytest.fixture(scope="module")
def built(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    _build(source_tree, folder)
    return Built(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")))


@pytest.fixture(scope="module")
def contents(built: Built) -> dict[str, bytes]:
    """Every file in the wheel by name."""
    return _files_in_wheel(built.wheel)


@pytest.fixture(scope="module")
def installed(built: Built, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    environment = Installed(tmp_path_factory.mktemp("empty") / "environment")
    venv.create(environment.folder, with_pip=True)
    environment.run("python", "-m", "pip", "install", "--quiet", "-c", str(root / "constraints.txt"), str(built.wheel))
    return environment


def test_the_wheel_holds_the_manifest_as_it_stands_at_the_root(contents: dict[str, bytes], root: Path) -> None:
    assert contents["napari_ultralight/napari.yaml"] == (root / "napari.yaml").read_bytes()


def test_the_wheel_holds_every_sample_with_its_licence(contents: dict[str, bytes], sample_data: Path) -> None:
    carried = {name.rpartition("/")[2]: data for name, data in contents.items() if name.startswith("napari_ultralight/sample_data/")}
    assert carried == {path.name: path.read_bytes() for path in sample_data.iterdir()}


def test_the_wheel_holds_the_licence_and_says_that_it_is_typed(contents: dict[str, bytes], root: Path) -> None:
    licences = [data for name, data in contents.items() if re.fullmatch(r"[^/]+\.dist-info/licenses/LICENSE", name)]
    assert licences == [(root / "LICENSE").read_bytes()]
    assert {"ultralightunet/py.typed", "napari_ultralight/py.typed"} <= contents.keys()


def test_the_wheel_holds_the_shipped_models_whole_in_at_most_fourteen_megabytes(
    built: Built, contents: dict[str, bytes], root: Path
) -> None:
    files = (path for folder in ("shipped", "shipped_prompts") for path in (root / "ultralightunet" / folder).rglob("*"))
    shipped = {p.relative_to(root).as_posix(): p.read_bytes() for p in files if p.is_file() and p.suffix != ".pyc"}
    assert {name: data for name, data in contents.items() if name.startswith("ultralightunet/shipped")} == shipped
    with zipfile.ZipFile(built.wheel) as wheel:
        assert sum(wheel.getinfo(name).compress_size for name in shipped) <= SHIPPED_LIMIT


def test_a_model_can_be_left_out_of_the_build(
    source_tree: Path, contents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ULTRALIGHT_LEAVE_OUT", "polyp,prompt-2d")
    _build(source_tree, tmp_path, "--wheel")
    without = _files_in_wheel(next(tmp_path.glob("*.whl")))
    missing = {name for name in contents.keys() - without.keys() if ".dist-info/" not in name}
    folders = ("ultralightunet/shipped/polyp/", "ultralightunet/shipped_prompts/prompt-2d/")
    assert missing == {name for name in contents if name.startswith(folders)}
    assert all(any(name.startswith(folder) for name in missing) for folder in folders)


def test_the_wheel_holds_nothing_else(contents: dict[str, bytes]) -> None:
    strange = [
        name
        for name in contents
        if not re.fullmatch(
            r"(ultralightunet|napari_ultralight)/(.+\.py|py\.typed)"
            r"|ultralightunet/shipped(_prompts)?/.+|ultralightunet/cohort/templates/report\.(html|css|js)|napari_ultralight/(napari\.yaml|sample_data/[^/]+)|napari_ultralight-[^/]+\.dist-info/.+",
            name,
        )
    ]
    assert strange == []


def test_the_wheel_names_no_torch_among_what_it_always_needs(contents: dict[str, bytes]) -> None:
    metadata = Parser().parsestr(next(data.decode() for name, data in contents.items() if name.endswith(".dist-info/METADATA")))
    always = [need for need in metadata.get_all("Requires-Dist") if "extra ==" not in need]
    assert any(need.startswith("openvino") for need in always)
    assert not [need for need in always if re.match("torch|monai|napari|pyside|pyqt", need, re.IGNORECASE)]
    assert "Framework :: napari" in metadata.get_all("Classifier")
    assert metadata["License-Expression"] == "BSD-3-Clause"


def test_the_checkout_and_the_source_package_make_the_same_wheel(source_tree: Path, contents: dict[str, bytes], tmp_path: Path) -> None:
    _build(source_tree, tmp_path, "--wheel")
    assert _files_in_wheel(next(tmp_path.glob("*.whl"))) == contents


def test_the_source_package_holds_no_links_and_no_environment(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        assert [member.name for member in archive if not (member.isfile() or member.isdir())] == []
        assert not [member.name for member in archive if re.search(r"/(\.venv|\.git|output|\.runs)/", member.name)]


def test_an_editable_install_finds_the_manifest_and_follows_its_edits(source_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(source_tree, tmp_path / "tree", symlinks=True)
    site = tmp_path / "site"
    _pip("install", "--no-deps", "--no-build-isolation", "--target", str(site), "-e", str(tmp_path / "tree"))
    with (tmp_path / "tree" / "napari.yaml").open("a", encoding="utf-8") as manifest:
        manifest.write("# edited\n")
    code = (
        f"import site; site.addsitedir({str(site)!r})\n"
        "from importlib.metadata import entry_points\n"
        "from pathlib import Path\n"
        "(found,) = [e for e in entry_points(group='napari.manifest') if e.name == 'napari-ultralight'][:1]\n"
        "import napari_ultralight\n"
        "package, name = Path(napari_ultralight.__path__[0]), found.value.partition(':')[2]\n"
        "print(package, (package / name).read_text().endswith('# edited\\n'), (package / 'sample_data' / 'README.md').exists())"
    )
    said = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert said.split() == [str(tmp_path / "tree" / "napari_ultralight"), "True", "True"]


def test_installing_it_brings_neither_torch_nor_napari(installed: Installed) -> None:
    names = {entry["name"].lower() for entry in json.loads(installed.run("python", "-m", "pip", "list", "--format=json"))}
    assert {"napari-ultralight", "openvino", "npe2"} <= names
    assert not names & {"torch", "monai", "napari", "pyside6", "pyqt6"}


def test_npe2_lists_the_manifest_of_the_installed_package(installed: Installed) -> None:
    code = (
        "from npe2 import PluginManifest; m = PluginManifest.from_distribution('napari-ultralight')\n"
        "print(m.name, m.package_version, sorted(name for name, found in m.contributions if found))"
    )
    said = installed.python(code)
    assert said.startswith("napari-ultralight ")
    for kind in ("commands", "readers", "writers", "widgets", "sample_data"):
        assert f"'{kind}'" in said


def test_every_sample_of_the_manifest_opens_from_the_wheel_in_napari(built: Built, tmp_path: Path) -> None:
    site = tmp_path / "site"
    _pip("install", "--no-deps", "--no-index", "--target", str(site), str(built.wheel))
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import napari_ultralight, napari.layers; from npe2 import PluginManager\n"
        "manager = PluginManager.instance(); manager.discover()\n"
        "for sample in manager.get_manifest('napari-ultralight').contributions.sample_data:\n"
        "    for layer in sample.open():\n"
        "        print(napari_ultralight.__path__[0], sample.key, *napari.layers.Layer.create(*layer).data.shape)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    samples = ("colin27 181 217 181", "colin27_hippocampus 36 52 36", "tumour_mri_1 25 256 256", "tumour_mri_2 23 256 256")
    assert done.stdout.splitlines() == [f"{site / 'napari_ultralight'} {sample}" for sample in samples]


def test_an_installed_sample_is_read_with_its_geometry(installed: Installed) -> None:
    path = installed.sample("tumour_mri_2.nrrd")
    said = installed.python(f"from ultralightunet.io import read_image; v = read_image({str(path)!r}); print(v.shape, v.spacing[0])")
    assert said.startswith("(23, 256, 256) 6.")


def test_the_command_line_lists_the_shipped_models(installed: Installed, root: Path) -> None:
    listed = [json.loads(line)["name"] for line in installed.run("ultralight", "models", "--json").splitlines()]
    assert sorted(listed) == sorted(
        path.parent.parent.name for path in (root / "ultralightunet" / "shipped").glob("*/configs/metadata.json")
    )


def test_the_command_line_segments_a_sample(installed: Installed, root: Path, tmp_path: Path) -> None:
    if not (root / "ultralightunet" / "shipped" / "brain").exists():
        pytest.skip("needs the shipped model `brain`")
    image, out = installed.sample("colin27_t1.nii.gz"), tmp_path / "labels.nii.gz"
    installed.run("ultralight", "segment", str(image), "-o", str(out), "--model", "brain")
    labels = read_labels(out).labels
    assert labels.shape == (181, 217, 181)
    # A brain with the fluid around it fills between one and two and a half litres.
    assert 1.0e6 < np.count_nonzero(labels) < 2.5e6


def _build(source: Path, folder: Path, *options: str) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _pip(command: str, *options: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", command, "--quiet", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _files_in_wheel(path: Path) -> dict[str, bytes]:
    """Contents by name, less the list of contents, which holds the others' checksums."""
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist() if not name.endswith(("/", ".dist-info/RECORD"))}
