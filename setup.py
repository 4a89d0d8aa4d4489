"""What the package is; pyproject.toml holds the build system and the tools' settings.

`napari.yaml` and `sample_data/` stand at the root of the repository, where people look for them, and inside the package `napari_ultralight`
once it is installed, where napari looks for them.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PACKAGE = "napari_ultralight"
CARRIED = ("napari.yaml", "sample_data")
"""What stands at the root and travels inside PACKAGE."""
SHIPPED = ("shipped", "shipped_prompts")
"""Folders of models in the core."""


class BuildWithRootFiles(build_py):
    """Puts CARRIED into the package: copies for a wheel, links for an editable install, so that an edit counts at once."""

    def run(self) -> None:
        if self.editable_mode:
            for name in CARRIED:
                link(ROOT / PACKAGE / name, to=Path("..") / name)
            super().run()
            return
        super().run()
        for source, target in self._carried():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *(str(source.relative_to(ROOT)) for source, _ in self._carried())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs: list[str] = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, *(str(target) for _, target in self._carried())]

    def _carried(self) -> list[tuple[Path, Path]]:
        """Each file and where it goes in the built package."""
        found = []
        for name in CARRIED:
            source = ROOT / name
            files = sorted(f for f in source.rglob("*") if f.is_file()) if source.is_dir() else [source]
            found += [(file, Path(self.build_lib) / PACKAGE / file.relative_to(ROOT)) for file in files]
        return found


def link(path: Path, *, to: Path) -> None:
    """Make `path` a link to the relative path `to`, or a copy where the system has no links."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    try:
        path.symlink_to(to, target_is_directory=(path.parent / to).is_dir())
    except OSError:
        target = path.parent / to
        if target.is_dir():
            shutil.copytree(target, path)
        else:
            shutil.copyfile(target, path)


def version() -> str:
    """`ultralightunet.__version__`, read without importing it."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "ultralightunet" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError("expected __version__ in ultralightunet/__init__.py, found none")
    return found[1]


def left_out() -> list[str]:
    """Patterns of the shipped models that a build shall do without, for their licence say: `ULTRALIGHT_LEAVE_OUT=polyp,hippocampus`."""
    shipped = {path.name: path for folder in SHIPPED for path in (ROOT / "ultralightunet" / folder).iterdir()}
    names = [name for name in os.environ.get("ULTRALIGHT_LEAVE_OUT", "").split(",") if name]
    for name in names:
        if name not in shipped:
            raise ValueError(f"expected names of shipped models ({', '.join(sorted(shipped))}) in ULTRALIGHT_LEAVE_OUT, found {name!r}")
    return [f"{shipped[name].parent.name}/{name}/{pattern}" for name in names for pattern in ("*", "**/*")]


# What segmenting on a CPU and the dock widget need. torch is not among it.
BASE = [
    "Jinja2 >= 3.1",
    "magicgui >= 0.9",
    "nibabel >= 5.2",
    "npe2 >= 0.7.7",
    "numpy >= 1.26",
    "openvino >= 2025.4",
    "Pillow >= 10.1",
    "platformdirs >= 4",
    "qtpy >= 2.4",
    "safetensors >= 0.4.3",
    "scikit-image >= 0.22",
    "scipy >= 1.11",
    "SimpleITK >= 2.3",
    "tifffile >= 2024.1",
    "tqdm >= 4.66",
]
EXTRAS = {
    # PySide6 6.12.0 ends a Python 3.11 process after some hundred signals; newer Pythons do not mind (tests/test_qt_binding.py).
    "napari": ["napari[pyside6] >= 0.9", "app-model >= 0.3", "dask[array] >= 2024.1", "PySide6 != 6.12.0; python_version < '3.12'"],
    "train": ["torch >= 2.4", "monai >= 1.4"],
    "export": ["torch >= 2.9", "onnx >= 1.18", "onnxscript >= 0.5"],
    "dicom": ["pydicom >= 3", "highdicom >= 0.25"],
    "cluster": ["distributed >= 2024.1"],
    "docs": ["furo", "myst-parser >= 4", "sphinx >= 8"],
    "test": [
        "bids-validator-deno",
        "build",
        "einops",
        # What runs an exported model: MONAI's workflows take the first two.
        "fire",
        "hypothesis",
        "pytorch-ignite",
        "onnxruntime",
        "matplotlib",
        "mypy",
        "pre-commit",
        "ptflops",
        "pytest >= 8",
        "pytest-qt",
        "pytest-xdist",
        "pytest-xvfb; sys_platform == 'linux'",
        "ruff",
        "setuptools >= 77",
        # 3D Slicer's MRML without its application, to test the module for it.
        "slicer-core",
    ],
}

setup(
    name="napari-ultralight",
    version=version(),
    description="Segment medical images on an ordinary computer, correct the labels and retrain the model: UltraLightUNet for napari",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="BSD-3-Clause",
    license_files=["LICENSE", "sample_data/LICENSE*"],
    author="The UltraLight contributors",
    keywords=["segmentation", "medical imaging", "napari", "UltraLightUNet", "MK-UNet"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Framework :: napari",
        "Intended Audience :: Healthcare Industry",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["ultralightunet", "ultralightunet.*", PACKAGE, f"{PACKAGE}.*"]),
    package_data={"ultralightunet": ["py.typed", "cohort/templates/*", *(f"{folder}/**/*" for folder in SHIPPED)], PACKAGE: ["py.typed"]},
    exclude_package_data={"ultralightunet": left_out()},
    include_package_data=False,
    zip_safe=False,
    install_requires=BASE,
    extras_require={**EXTRAS, "all": sorted({need for needs in EXTRAS.values() for need in needs})},
    entry_points={
        "console_scripts": ["ultralight = ultralightunet.cli:main"],
        "napari.manifest": [f"napari-ultralight = {PACKAGE}:napari.yaml"],
    },
    cmdclass={"build_py": BuildWithRootFiles},
)
