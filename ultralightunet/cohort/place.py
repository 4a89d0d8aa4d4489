"""The folder that a cohort's results go to: one for each recipe, so that nothing is ever written over the results of another."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..corrections.locking import only_writer
from ..disk import clear_once, clear_unfinished, make_folder, read_json, replace_durably
from ..errors import OutputError
from .cases import Case, readable
from .recipe import Recipe
from .records import CaseRecord, read_record, write_record

RUN = "run.json"
SCHEMA = 1

_OBSTACLES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}
"""What keeps every case from being written, not just one."""


class ObstacleError(OutputError):
    """The folder for results cannot be written, so that no further case would be kept; the run ends and can be gone on with later."""


@dataclass(frozen=True)
class Place:
    """Where the results of one recipe are.

    Attributes:
        folder: holds `run.json`, the labels with a record beside each, logs, and the table.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet.cohort import Case, Place
        >>> Place(Path("results")).record(Case("sub-01/T1", Path("T1.nii.gz")))
        PosixPath('results/labels/sub-01/T1.json')
    """

    folder: Path

    def labels(self, case: Case, suffix: str) -> Path:
        """The file for a case's labels."""
        return self.folder / (case.stem + suffix)

    def labels_of(self, case: Case, record: CaseRecord) -> Path:
        """The file of the labels that a record tells of."""
        return self.labels(case, record.labels.removeprefix(readable(case.stem)))

    def picture(self, case: Case) -> Path:
        """The file for a case's picture."""
        return self.folder / "pictures" / f"{case.name}.webp"

    def keep_picture(self, case: Case, picture: bytes) -> None:
        """Write the picture of a case."""
        with obstacles_told(self.folder):
            path = self.picture(case)
            make_folder(path.parent, within=self.folder)
            clear_once(path.parent.absolute())
            replace_durably(path, picture)

    def record(self, case: Case) -> Path:
        """The file for what became of a case."""
        return self.folder / f"{case.stem}.json"

    def log(self, case: Case) -> Path:
        """The file for what was said while a case was worked on."""
        return self.folder / "logs" / f"{case.name}.log"

    def read(self, case: Case) -> CaseRecord | None:
        """What became of a case."""
        with obstacles_told(self.folder):
            return read_record(self.record(case))

    def write(self, case: Case, record: CaseRecord) -> None:
        """Note what became of a case."""
        with obstacles_told(self.folder):
            write_record(self.record(case), record, within=self.folder)


def open_place(output: str | Path, recipe: Recipe, *, root: Path | None = None) -> Place:
    """The folder for results of this recipe, made if need be: `output` itself if it is new or has always had this recipe, else a folder in
    it that is named after the model.

    Args:
        output: as asked for.
        recipe: how cases are labelled.
        root: of the cohort, to be noted.

    Raises:
        OutputError: if it cannot be written, belongs to a newer version, or holds labels of another origin.

    Example:
        >>> import ultralightunet as ulu
        >>> from ultralightunet.cohort import Recipe, open_place
        >>> first, second = Recipe.of(ulu.load_model("brain")), Recipe.of(ulu.load_model("brain"), step=0.25)
        >>> open_place("results", first).folder
        PosixPath('results')
        >>> open_place("results", second).folder
        PosixPath('results/brain@...')
    """
    output = Path(output)
    if (output / "labels").exists() and not (output / RUN).exists():
        raise OutputError(
            f"expected a new folder, or one that `ultralight cohort` made, found labels of another origin in {output}; name another one"
        )
    with obstacles_told(output):
        make_folder(output, within=output)
        clear_unfinished(output)
        # Two parts of a cohort may begin at once.
        with alone(Place(output), "opening", wait=60.0, otherwise=f"expected to open {output}, found another program at it; try again"):
            for folder in (output, output / f"{recipe.model}-{recipe.key}"):
                found = _run_in(folder)
                if found is None:
                    make_folder(folder, within=output)
                    facts = {"schema": SCHEMA, "key": recipe.key, "input": str(root.resolve()) if root else "", "recipe": asdict(recipe)}
                    replace_durably(folder / RUN, (json.dumps(facts, indent=1) + "\n").encode())
                    return Place(folder)
                if found.get("key") == recipe.key:
                    return Place(folder)
    raise OutputError(f"expected {folder / RUN} to tell of the run {recipe.key}, found another; name another folder")


@contextmanager
def alone(place: Place, what: str, *, otherwise: str, wait: float = 0.0) -> Iterator[None]:
    """Be the only one at something, where the file system knows locks; elsewhere whoever works twice writes the same.

    Args:
        place: the folder for results.
        what: is done by one at a time.
        otherwise: the sentence for somebody else.
        wait: seconds to wait for somebody else.

    Raises:
        ObstacleError: if the folder cannot be written.
        OutputError: with the sentence `otherwise` if somebody else is inside all that time.
    """
    with ExitStack() as inside:
        try:
            make_folder(place.folder / ".locks", within=place.folder)
            inside.enter_context(only_writer(place.folder / ".locks" / what.replace(" ", "-"), wait=wait))
        except OutputError:
            raise OutputError(otherwise) from None
        except OSError as error:
            if error.errno in _OBSTACLES:
                raise _told(place.folder, error) from error
        yield


@contextmanager
def obstacles_told(folder: Path) -> Iterator[None]:
    """Turn what keeps a folder from being read or written into one sentence.

    Raises:
        ObstacleError: in place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise _told(folder, error) from error


def obstacle_behind(error: OutputError, folder: Path) -> ObstacleError | None:
    """What an error while labels were written says about every further case, None if it is about this one alone."""
    if isinstance(error, ObstacleError):
        return error
    cause = error.__cause__
    return _told(folder, cause) if isinstance(cause, OSError) and cause.errno in _OBSTACLES else None


def _told(folder: Path, error: OSError) -> ObstacleError:
    reason = error.strerror or str(error)
    return ObstacleError(
        f"expected to write to {folder}, found an obstacle: {reason}; what is done is kept: free space there or check its permissions, "
        "then give the same command again"
    )


def _run_in(folder: Path) -> dict[str, Any] | None:
    """What a folder's `run.json` tells, None if there is none."""
    path = folder / RUN
    try:
        found = read_json(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise OutputError(f"expected a folder for the results, found a file at {folder}; name another one") from error
    except (ValueError, RecursionError) as error:
        raise OutputError(f"expected {path} to tell how its labels were made, found it damaged; name another folder") from error
    if not isinstance(found, dict) or not isinstance(found.get("schema"), int):
        raise OutputError(f"expected {path} to tell how its labels were made, found something else; name another folder")
    if found["schema"] > SCHEMA:
        raise OutputError(f"expected results of this version of UltraLight, found those of a newer one in {folder}; update UltraLight")
    return found
