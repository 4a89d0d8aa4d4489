"""`ultralight import-checkpoint`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.command import Command, sentence
from tests.models.authors_checkpoints import Opener, their_name
from tests.small_models import random_weights
from ultralightunet.architecture import VARIANTS, Architecture


def test_a_checkpoint_is_imported_installed_and_used(tmp_path: Path, ultralight: Command) -> None:
    architecture = Architecture(2, 3, 1, VARIANTS["T"])
    state = {their_name(name): torch.from_numpy(values).float() for name, values in random_weights(architecture).items()}
    torch.save({"state_dict": state}, tmp_path / "best.pth")
    told = ("--classes", "polyp", "--size", "64x96", "--modality", "endoscopy", "--licence", "MIT")
    done = ultralight("import-checkpoint", tmp_path / "best.pth", "-o", tmp_path / "polyp", *told, "--install")
    assert (done.code, done.err) == (0, "")
    assert "polyp@1.0.0 in" in done.out
    assert "3 channel(s) in, 1 out, widths [4, 8, 16, 24, 32]" in done.out
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)).save(tmp_path / "frame.png")
    done = ultralight("segment", tmp_path / "frame.png", "-o", tmp_path / "labels.png", "--model", "polyp", "--json")
    assert done.code == 0
    assert done.events[-1]["classes"][0]["name"] == "polyp"
    assert np.asarray(Image.open(tmp_path / "labels.png")).shape == (50, 60)


def test_a_checkpoint_with_code_in_it_is_one_clear_sentence(tmp_path: Path, ultralight: Command) -> None:
    torch.save(Opener(tmp_path / "marker"), tmp_path / "evil.pth")
    said = sentence(ultralight("import-checkpoint", tmp_path / "evil.pth", "-o", tmp_path / "model"))
    assert "never run" in said
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pth"]
