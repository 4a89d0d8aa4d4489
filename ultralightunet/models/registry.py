"""The models at hand: those that are shipped, and those that the user installed."""

from __future__ import annotations

import functools
import logging
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..disk import folder_beside, make_folder, read_small, share, sync_files
from ..errors import ModelError, OutputError
from ..home import home
from .facts import Model
from .folder import METADATA, read_model

logger = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent.parent / "shipped"
"""Where the models of the package itself lie, a folder each."""

SHIPPED_PROMPTS = Path(__file__).parent.parent / "shipped_prompts"
"""Networks that answer prompts (see `prompting`): they label nothing by themselves, so no list of models has them."""

CURRENT = "current"
"""File beside the versions of a model that names the one that was chosen."""


def load_model(model: str | Path | Model) -> Model:
    """A shipped or installed model by NAME or NAME@VERSION, or the model in a folder.

    Raises:
        ModelError: if there is none, or its metadata cannot be used.

    Example:
        >>> from ultralightunet import load_model
        >>> load_model("breast-lesion").title
        'Lesions in breast ultrasound'
    """
    if isinstance(model, Model):
        return model
    # A folder that only happens to be called like a model, one of scans say, does not hide the model.
    if os.path.isfile(Path(model) / METADATA):
        return read_model(Path(model))
    name, _, version = str(model).partition("@")
    known = list_models()
    named = [m for m in known if m.name == name]
    if version:
        named = [m for m in named if m.version == version]
    if not named and os.path.isdir(model):
        return read_model(Path(model))
    if not named:
        raise ModelError(
            f"expected a model folder or an installed model ({', '.join(sorted({m.id for m in known})) or 'there is none'}), "
            f"found {str(model)!r}; `ultralight models` lists them"
        )
    return current_of(named)


def current_of(versions: Sequence[Model]) -> Model:
    """Of all versions of a model that are at hand, the one to take where nobody names one: the one that was chosen, else the highest.

    What was retrained from a version of the same model is passed over unless it was chosen: nobody has said yet that it is better.
    """
    name = versions[0].name
    chosen = next((m for m in versions if m.version == _current_version(name)), None)
    return chosen or max([m for m in versions if m.parent.partition("@")[0] != name] or versions, key=lambda m: _version_order(m.version))


def list_models() -> list[Model]:
    """Every shipped and installed model that can be read, shipped first; one that cannot be is passed over, and named in the log.

    Example:
        >>> from ultralightunet import list_models
        >>> sorted(model.name for model in list_models())
        ['brain', 'brain-anatomy', 'breast-lesion', 'hippocampus', 'polyp']
    """
    found: dict[str, Model] = {}
    folders = [
        *sorted(SHIPPED.glob("*")),
        *sorted(installed_folder().glob("*/*"), key=lambda folder: (folder.parent, _version_order(folder.name))),
    ]
    for folder in folders:
        # What is not finished has a name with a dot; files beside the versions are notes.
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        try:
            model = read_model(folder)
        except ModelError as error:
            _say_once(f"passed over a model that cannot be used: {error}")
            continue
        found.setdefault(model.id, model)
    return list(found.values())


def install_model(folder: Path) -> Model:
    """Copy a user's model folder to the user's models, so that every host finds it; the same version twice is the same model.

    Raises:
        ModelError: if the folder holds no usable model, or another one of that name and version is installed.
        OutputError: if it cannot be copied.

    Example:
        >>> from dataclasses import replace
        >>> from pathlib import Path
        >>> from ultralightunet.models import install_model, load_model, write_model
        >>> brain = load_model("brain")
        >>> mine = write_model(Path("my-brain"), replace(brain, name="my-brain"), brain.weights(), licence_text="Apache-2.0")
        >>> install_model(mine.folder).id, load_model("my-brain").id
        ('my-brain@0.1.0', 'my-brain@0.1.0')
    """
    model = read_model(folder)
    model.weights()
    target = installed_folder() / model.name / model.version
    try:
        if not target.exists():
            make_folder(target.parent, within=home())
            with folder_beside(target.parent, "installing") as beside:
                share(beside)
                _copy(folder, beside / "model")
                sync_files(beside / "model")
                _move(beside / "model", target)
    except OSError as error:
        raise OutputError(f"the model could not be copied to {target}: {error}; free space there or set ULTRALIGHT_HOME") from error
    present = read_model(target)
    if present.metadata != model.metadata:
        other = "facts" if present.sha256 == model.sha256 else "weights"
        raise ModelError(
            f"{model.id} is installed already with other {other}; give the new model another version in its configs/metadata.json"
        )
    return present


def installed_folder() -> Path:
    """Where the user's models lie: NAME/VERSION."""
    return home() / "models"


def is_installed(model: Model) -> bool:
    """Whether a model lies where every host finds it: in the package, or among the user's."""
    return any(place.resolve() in model.folder.resolve().parents for place in (SHIPPED, SHIPPED_PROMPTS, installed_folder()))


def _copy(source: Path, target: Path) -> None:
    """Copy a folder of somebody else's with the permissions of its new place: what comes from a read-only disk could not be moved later."""
    target.mkdir()
    share(target)
    for path in sorted(source.iterdir()):
        if path.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(source.resolve())):
            raise ModelError(
                f"expected files in the model folder {source}, found the link {path.name} that leads elsewhere; copy the files themselves"
            )
        if path.is_dir():
            _copy(path, target / path.name)
        elif not path.is_file():
            raise ModelError(f"expected files in the model folder {source}, found that {path.name} is none; take it away")
        else:
            shutil.copyfile(path, target / path.name)
            share(target / path.name)


def _move(made: Path, target: Path) -> None:
    try:
        os.replace(made, target)
    except OSError:
        # Another process installed the same version in between; which one it is, is compared by whoever called.
        if not target.is_dir():
            raise


@functools.cache
def _say_once(text: str) -> None:
    logger.warning("%s", text)


def _current_version(name: str) -> str | None:
    try:
        return read_small(installed_folder() / name / CURRENT).decode().strip()
    except (OSError, ValueError):
        # Nobody has chosen one, or the note of it is damaged.
        return None


def _version_order(version: str) -> list[tuple[int, str, int]]:
    """1.10.0 comes after 1.9.0, and 1.0.0+r10 after 1.0.0+r9."""
    found = []
    for part in re.split(r"[.+-]", version):
        letters, digits = re.fullmatch(r"(.*?)(\d*)", part).groups()  # type: ignore[union-attr]
        found.append((-1 if letters else int(digits or 0), letters, int(digits or 0)))
    return found
