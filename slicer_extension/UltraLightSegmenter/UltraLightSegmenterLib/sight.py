"""What a volume showed when it was pointed at, so that an answer never lands on another image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from .pictures import Picture
from .problem import Problem
from .sequences import frame_of


@dataclass(eq=False)
class Sight:
    """An image of a volume node.

    Attributes:
        picture: as it was.
        fingerprint: of its voxels.
        frame: of the sequence that the node showed, "" for none.
    """

    picture: Picture
    fingerprint: str
    frame: str
    _image: Any
    _time: int

    @classmethod
    def of(cls, picture: Picture) -> Sight:
        """What is seen now."""
        image = picture.node.GetImageData()
        return cls(picture, picture.fingerprint(), str(frame_of(picture.node) or ""), image, image.GetMTime())

    @property
    def node(self) -> Any:
        """The volume node."""
        return self.picture.node

    @property
    def facts(self) -> dict[str, str]:
        """What `reference_of` wants to know of labels."""
        return {"fingerprint": self.fingerprint, "frame": self.frame}

    def is_still_there(self) -> bool:
        """Whether the node shows the same image at the same place."""
        try:
            now = Picture.of(self.node)
        except Problem:
            return False
        if now.shape != self.picture.shape or not np.allclose(now.affine, self.picture.affine, atol=1e-6):
            return False
        image = self.node.GetImageData()
        if (image, image.GetMTime()) != (self._image, self._time):
            # Touched, and perhaps changed: only then is it worth reading all of it.
            if now.fingerprint() != self.fingerprint:
                return False
            self.picture, self._image, self._time = now, image, image.GetMTime()
        return True

    def check(self) -> None:
        """Refuse another image than the one that was seen.

        Raises:
            Problem: if it is another.
        """
        if self.is_still_there():
            return
        if self.frame:
            sentence = _(
                "Expected {frame} of {name}, which was pointed at, found another image; browse back, or click Clear and point again"
            )
        else:
            sentence = _("Expected {name} as it was when it was pointed at, found its image changed; click Clear and point again")
        raise Problem(sentence.format(name=self.node.GetName(), frame=self.frame))
