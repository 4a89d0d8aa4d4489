"""The extension around the module: what the Extensions Index reads, what CMake copies, and that an installed extension works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from UltraLightSegmenterLib import samples
from UltraLightSegmenterLib.core import core_environment, core_folder, sample_folder, shipped_models
from UltraLightSegmenterLib.problem import Problem
from UltraLightSegmenterLib.process import Worker

from tests.slicer.conftest import Answers, noisy
from ultralightunet.models import list_models

NAME = "UltraLightUNet"

SLICER_STANDIN = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
"""

USE_STANDIN = """
include(CMakeParseArguments)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.12/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.12/qt-scripted-modules)
macro(ctkMacroCompilePythonScript)
  cmake_parse_arguments(MY "NO_INSTALL_SUBDIR" "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  if(NOT MY_NO_INSTALL_SUBDIR OR MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unexpected: ${ARGN}")
  endif()
  if(NOT MY_SOURCE_DIR)
    set(MY_SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  set(copies)
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    add_custom_command(OUTPUT ${MY_DESTINATION_DIR}/${file} DEPENDS ${MY_SOURCE_DIR}/${file}
      COMMAND ${CMAKE_COMMAND} -E copy ${MY_SOURCE_DIR}/${file} ${MY_DESTINATION_DIR}/${file})
    list(APPEND copies ${MY_DESTINATION_DIR}/${file})
    get_filename_component(folder ${file} DIRECTORY)
    install(FILES ${MY_SOURCE_DIR}/${file} DESTINATION ${MY_INSTALL_DIR}/${folder})
  endforeach()
  add_custom_target(Copy${MY_TARGET_NAME} ALL DEPENDS ${copies})
endmacro()
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  ctkMacroCompilePythonScript(TARGET_NAME ${MODULE_NAME} SCRIPTS "${MODULE_SCRIPTS}" RESOURCES "${MODULE_RESOURCES}"
    DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR} NO_INSTALL_SUBDIR)
endmacro()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The folder of scripted modules in an installed extension."""
    folder = tmp_path_factory.mktemp("extension")
    configured = configure(root, folder)
    assert configured.returncode == 0, configured.stderr
    for command in (
        ["cmake", "--build", str(folder / "build")],
        ["cmake", "--install", str(folder / "build"), "--prefix", str(folder / "installed")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    places = [folder / "build" / "lib/Slicer-5.12/qt-scripted-modules", folder / "installed" / "lib/Slicer-5.12/qt-scripted-modules"]
    built, found = ({path.relative_to(place) for path in place.rglob("*") if path.is_file()} for place in places)
    assert built == found
    return places[1]


def configure(root: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Let CMake configure the extension into `folder / "build"`, with stand-ins for Slicer's macros."""
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    for name, text in (("SlicerConfig.cmake", SLICER_STANDIN), ("use.cmake", USE_STANDIN), ("nothing.cmake", "")):
        (folder / name).write_text(text)
    command = ["cmake", "-S", str(root), "-B", str(folder / "build"), f"-DSlicer_DIR={folder}", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def files_of(folder: Path, pattern: str = "**/*") -> set[Path]:
    return {path.relative_to(folder) for path in folder.glob(pattern) if path.is_file() and "__pycache__" not in path.parts}


@pytest.mark.slow
def test_the_extension_holds_the_core_the_models_and_the_samples(installed: Path, root: Path) -> None:
    library = root / "slicer_extension" / "UltraLightSegmenter" / "UltraLightSegmenterLib"
    core = files_of(root / "ultralightunet", "**/*.py") | files_of(root / "ultralightunet", "shipped*/**/*")
    assert files_of(installed / "ultralightunet") == core
    assert files_of(installed / "UltraLightSegmenterLib") == files_of(library)
    assert files_of(installed / "Resources" / "SampleData") == files_of(root / "sample_data")
    for path in core:
        assert (installed / "ultralightunet" / path).read_bytes() == (root / "ultralightunet" / path).read_bytes()


@pytest.mark.slow
def test_models_can_be_left_out_of_the_extension(root: Path, tmp_path: Path) -> None:
    done = configure(root, tmp_path, "-DULTRALIGHT_LEAVE_OUT=polyp,hippocampus")
    assert done.returncode == 0, done.stderr
    script = (tmp_path / "build" / "slicer_extension" / "UltraLightSegmenter" / "cmake_install.cmake").read_text()
    installed = set(re.findall(r"ultralightunet/shipped/([\w-]+)/", script))
    everything = {path.name for path in (root / "ultralightunet" / "shipped").iterdir() if path.is_dir()}
    assert installed == everything - {"polyp", "hippocampus"}


@pytest.mark.slow
def test_a_model_to_leave_out_that_is_not_there_is_an_error(root: Path, tmp_path: Path) -> None:
    done = configure(root, tmp_path, "-DULTRALIGHT_LEAVE_OUT=spleen")
    assert done.returncode != 0
    assert "expected names of shipped models in ULTRALIGHT_LEAVE_OUT, found spleen" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_an_installed_extension_segments_with_its_own_core_and_models(installed: Path, tmp_path: Path, answers: Answers) -> None:
    assert core_folder(installed) == installed
    assert sample_folder(installed) == installed / "Resources" / "SampleData"
    np.save(tmp_path / "image.npy", noisy((32, 32, 32)))
    worker = Worker(lambda: [sys.executable, "-S", "-c", ENTRY.format(paths=sys.path)], lambda: core_environment(installed))
    worker.ask(answers.listener, do="models")
    models = answers.wait(worker.poll)["models"]
    assert {Path(model["folder"]).parent for model in models} == {installed / "ultralightunet" / "shipped"}
    told = Answers()
    worker.ask(
        told.listener,
        do="segment",
        model="brain",
        image=str(tmp_path / "image.npy"),
        affine=np.eye(4).tolist(),
        labels=str(tmp_path / "labels.npy"),
    )
    told.wait(worker.poll)
    worker.stop()


ENTRY = "import sys; sys.path += {paths!r}; import runpy; runpy.run_module('ultralightunet.worker', run_name='__main__')"
"""Without site-packages first: an editable install would put this checkout before the extension."""


def test_a_checkout_that_was_not_built_finds_the_core_at_its_root(root: Path, tmp_path: Path) -> None:
    assert core_folder() == root
    assert sample_folder() == root / "sample_data"
    lonely = tmp_path / "a" / "b" / "UltraLightSegmenter"
    lonely.mkdir(parents=True)
    with pytest.raises(Problem, match="install the extension UltraLightUNet again"):
        core_folder(lonely)
    assert sample_folder(lonely) is None
    assert shipped_models(lonely) == []


def test_shipped_models_are_listed_before_anything_is_installed() -> None:
    found = {model["id"]: model for model in shipped_models()}
    known = {model.id: model for model in list_models()}
    assert found.keys() == known.keys()
    for name, model in found.items():
        assert (model["title"], model["spatial_dims"]) == (known[name].title, known[name].spatial_dims)


def test_the_index_finds_what_it_reads_at_the_root(root: Path) -> None:
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    said = dict(re.findall(r'^set\((EXTENSION_\w+) "([^"]+)"\)$', text, re.MULTILINE))
    entry = json.loads((root / "slicer_extension" / f"{NAME}.json").read_text(encoding="utf-8"))
    assert re.search(r"^project\((\w+)\)$", text, re.MULTILINE)[1] == NAME  # type: ignore[index]
    assert not NAME.startswith("Slicer")
    # Only retraining needs PyTorch: the extension is installed and built without it.
    assert said["EXTENSION_RECOMMENDS"] == "PyTorch"
    assert entry["build_dependencies"] == []
    assert "EXTENSION_DEPENDS" not in said
    repository = entry["scm_url"].rpartition("/")[2]
    assert repository.startswith("Slicer")
    raw = entry["scm_url"].replace("https://github.com", "https://raw.githubusercontent.com") + f"/{entry['scm_revision']}/"
    for url in (said["EXTENSION_ICONURL"], said["EXTENSION_SCREENSHOTURLS"]):
        assert url.startswith(raw)
        assert (root / url.removeprefix(raw)).is_file()
    assert (root / "LICENSE").is_file()


def test_the_index_entry_keeps_to_the_catalogues_schema(root: Path) -> None:
    entry = json.loads((root / "slicer_extension" / f"{NAME}.json").read_text(encoding="utf-8"))
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")
    allowed = {
        "$schema": str,
        "category": str,
        "scm_url": str,
        "scm_revision": str,
        "scm_type": str,
        "build_dependencies": list,
        "build_subdirectory": str,
        "enabled": bool,
        "tier": int,
        "dicom_support_rule": str,
    }
    assert {"$schema", "category", "scm_url"} <= entry.keys() <= allowed.keys()
    assert all(isinstance(value, allowed[key]) for key, value in entry.items())
    assert entry["category"] == "Segmentation"


def test_the_icon_has_the_size_that_the_catalogue_wants(root: Path) -> None:
    for path in (f"{NAME}.png", "UltraLightSegmenter/Resources/Icons/UltraLightSegmenter.png"):
        with Image.open(root / "slicer_extension" / path) as icon:
            assert (icon.size, icon.format) == ((128, 128), "PNG")


def test_samples_are_registered_from_files_on_this_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[dict[str, Any]] = []
    logic = SimpleNamespace(registerCustomSampleDataSource=lambda **source: registered.append(source))
    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=logic))
    samples.register_samples()
    assert [source["nodeNames"] for source in registered] == ["Colin27", "TumourMRI1", "TumourMRI2"]
    for source in registered:
        assert source["category"] == "UltraLight"
        path = Path(source["uris"].removeprefix("file://"))
        assert path.name == source["fileNames"]
        assert path.is_file()
        assert Path(source["thumbnailFileName"]).is_file()
        assert re.fullmatch(r"SHA256:[0-9a-f]{64}", source["checksums"])
