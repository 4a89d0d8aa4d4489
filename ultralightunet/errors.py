"""What can go wrong, said so that a person can act: what was expected, what was found, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UltraLightError(Exception):
    """Base of every error that is meant to be read by a person; its text is one clear sentence.

    Example:
        >>> import ultralightunet as ulu
        >>> try:
        ...     ulu.load_model("liver")
        ... except ulu.UltraLightError as error:
        ...     print(error)
        expected a model folder or an installed model (...), found 'liver'; `ultralight models` lists them
    """


class InputError(UltraLightError):
    """The image, or what was asked of it, is at fault.

    Example:
        >>> from ultralightunet.io import read_image
        >>> read_image("scan.nii.gz")
        Traceback (most recent call last):
        ultralightunet.errors.InputError: expected an image, found nothing at scan.nii.gz; check the name
    """


class ModelError(UltraLightError):
    """The model folder or checkpoint is at fault.

    Example:
        >>> import ultralightunet as ulu
        >>> ulu.load_model("brain@99")
        Traceback (most recent call last):
        ultralightunet.errors.ModelError: expected a model folder or an installed model (...), found 'brain@99'; ...
    """


class OutputError(UltraLightError):
    """The result could not be written, or what was written does not read back the same.

    Example:
        >>> import numpy as np
        >>> import ultralightunet as ulu
        >>> ulu.Segmentation(np.zeros((4, 4, 4), np.uint8), np.eye(4)).save("labels.doc")
        Traceback (most recent call last):
        ultralightunet.errors.OutputError: expected a name that ends in .nii.gz, ... for labels, found labels.doc; change the suffix
    """


class TrainingError(UltraLightError):
    """A training cannot begin or go on."""


@contextmanager
def only_our_errors(path: Path, what: str, *, kind: type[UltraLightError] = InputError) -> Iterator[None]:
    """The border of a package: let only our errors out of what reads the file or folder at `path`, each with the path in it.

    What raised stays the error's cause. Faults that can be foreseen are better told inside, in words of their own; a cancel passes.

    Args:
        path: that is read.
        what: is expected there, for the sentence.
        kind: of the error that leaves.

    Raises:
        UltraLightError: of `kind`, in place of any other exception.
    """
    shown = _one_line(str(path))
    try:
        yield
    except UltraLightError as error:
        # A file's name may hold line breaks.
        sentence = _one_line(str(error))
        sentence = sentence if shown in sentence else f"{shown}: {sentence}"
        if sentence == str(error):
            raise
        raise type(error)(sentence) from error
    except MemoryError as error:
        raise kind(
            f"expected {what} that fits into memory, found a larger one or a damaged header in {shown}; "
            "crop or mend it, or close other programs"
        ) from error
    except OSError as error:
        reason = error.strerror or brief(error)
        raise kind(
            f"expected {what} that can be read, found an obstacle at {shown}: {reason}; check its permissions, or copy it again"
        ) from error
    except Exception as error:
        # Broad, because this is the border: readers meet files of strangers, and libraries raise anything over them.
        raise kind(f"expected {what}, found a damaged or other file {shown} ({brief(error)}); copy or export it again") from error


def brief(error: BaseException) -> str:
    """What an error says in its last line, without a line break; its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
