"""A small live plot: the training's loss, and Dice on cases that it does not train on."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from math import isfinite
from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from ultralightunet.events import Epoch

LOSS, SCORE = QColor("#ffb300"), QColor("#4fc3f7")


class Curve(QWidget):
    """Two lines over the steps of a training: loss, from 0 to its largest value, and a score from 0 to 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.losses: list[tuple[int, float]] = []
        self.scores: list[tuple[int, float]] = []
        self._steps = 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Loss of the training (falls), and Dice on corrected cases that are not trained on (rises).")

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(200, 112)

    def clear(self) -> None:
        """Begin anew."""
        self.losses, self.scores, self._steps = [], [], 1
        self.update()

    def add(self, epoch: Epoch) -> None:
        """Go on by one stretch of training."""
        if self.losses and epoch.step <= self.losses[-1][0]:
            # Cross-validation trains several times.
            self.clear()
        self._steps = max(1, epoch.steps)
        if isfinite(epoch.loss):
            self.losses.append((epoch.step, epoch.loss))
        self.scores += [(epoch.step, score) for score in list(epoch.scores.values())[:1] if isfinite(score)]
        self.update()

    def paintEvent(self, event: Any) -> None:
        """Draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text)
        faint.setAlpha(70)
        line = painter.fontMetrics().height()
        highest = max((value for _, value in self.losses), default=1.0) or 1.0
        left = painter.fontMetrics().horizontalAdvance(f"{highest:.2f}") + 8
        right = painter.fontMetrics().horizontalAdvance("1.0") + 8
        area = QRectF(left, line + 6, self.width() - left - right, self.height() - 2 * line - 12)
        painter.setPen(QPen(faint, 1))
        for share in (0.0, 0.5, 1.0):
            y = area.bottom() - share * area.height()
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        self._label(painter, LOSS, QRectF(0, area.top() - line / 2, left - 4, line), f"{highest:.2f}", Qt.AlignmentFlag.AlignRight)
        self._label(painter, LOSS, QRectF(0, area.bottom() - line / 2, left - 4, line), "0", Qt.AlignmentFlag.AlignRight)
        beside = area.right() + 4
        if self.scores:
            self._label(painter, SCORE, QRectF(beside, area.top() - line / 2, right, line), "1.0", Qt.AlignmentFlag.AlignLeft)
            self._label(painter, SCORE, QRectF(beside, area.bottom() - line / 2, right, line), "0", Qt.AlignmentFlag.AlignLeft)
        last_loss = f" {self.losses[-1][1]:.3f}" if self.losses else ""
        score = f"Validation Dice {self.scores[-1][1]:.3f}" if self.scores else "no case to validate on yet"
        whole = QRectF(0, 0, self.width(), line)
        self._label(painter, LOSS, whole, f"Loss{last_loss}", Qt.AlignmentFlag.AlignLeft)
        self._label(painter, SCORE, whole, score, Qt.AlignmentFlag.AlignRight)
        below = QRectF(area.left(), self.height() - line, area.width(), line)
        self._label(
            painter, faint, below, f"step {self.losses[-1][0] if self.losses else 0} of {self._steps}", Qt.AlignmentFlag.AlignHCenter
        )
        self._line(painter, LOSS, area, [(step, value / highest) for step, value in self.losses])
        self._line(painter, SCORE, area, self.scores)
        painter.end()

    def _label(self, painter: QPainter, color: QColor, where: QRectF, text: str, align: Any) -> None:
        painter.setPen(color)
        painter.drawText(where, align | Qt.AlignmentFlag.AlignVCenter, text)

    def _line(self, painter: QPainter, color: QColor, area: QRectF, points: list[tuple[int, float]]) -> None:
        placed = [
            QPointF(area.left() + step / self._steps * area.width(), area.bottom() - min(1.0, max(0.0, value)) * area.height())
            for step, value in points
        ]
        painter.setPen(QPen(color, 2))
        if len(placed) > 1:
            painter.drawPolyline(QPolygonF(placed))
        painter.setBrush(color)
        for point in placed[-1:]:
            painter.drawEllipse(point, 3, 3)
        painter.setBrush(Qt.BrushStyle.NoBrush)
