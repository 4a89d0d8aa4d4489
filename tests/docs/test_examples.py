"""Every public name has an example in its docstring, and every example does what it says."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from public_names import INTERNAL, MODULES, NAMES, can_be_called

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples_of(name: str) -> list[doctest.DocTest]:
    """Those of a module's docstring, or of a thing and its methods; they know nothing that they have not imported."""
    finder = doctest.DocTestFinder(exclude_empty=True, recurse=name in NAMES)
    found = finder.find(NAMES[name] if name in NAMES else import_module(name), name, module=False, globs={})
    return [example for example in found if example.examples]


def with_examples() -> Iterator[str]:
    packages = sorted({*MODULES, *(name.rpartition(".")[0] for name in MODULES)} - {""})
    yield from (name for name in (*packages, *NAMES) if (name in packages or can_be_called(NAMES[name])) and examples_of(name))


def test_every_package_of_the_core_is_known_as_public_or_as_internal(root: Path) -> None:
    packages = [f"ultralightunet.{path.parent.name}" for path in sorted(root.glob("ultralightunet/*/__init__.py"))]
    assert [name for name in packages if not any(f"{known}.".startswith(f"{name}.") for known in (*MODULES, *INTERNAL))] == []


def test_every_public_class_and_function_has_an_example() -> None:
    assert [name for name, thing in NAMES.items() if can_be_called(thing) and ">>> " not in (thing.__doc__ or "")] == []


@pytest.mark.parametrize("name", list(with_examples()))
def test_the_example_does_what_it_says(name: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    # As in the repository's own folder, but what is written goes elsewhere.
    (tmp_path / "sample_data").symlink_to(root / "sample_data", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    for example in examples_of(name):
        doctest.DocTestRunner(optionflags=_FLAGS).run(example, out=said.append)
    assert not said, "".join(said)
