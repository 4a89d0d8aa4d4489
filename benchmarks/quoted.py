"""Figures of others for networks that no kept package implements: quoted, not measured here; other splits, or other data altogether."""

from __future__ import annotations

_BUSI = (
    "BUSI without normal images, mean and deviation over three random splits",
    "github.com/FengheTan9/Medical-Image-Segmentation-Benchmarks",
)

HEAD = ("network", "M parameters", "G operations", "Dice", "data", "source")

QUOTED = (
    ("TransUNet", 105.32, 38.52, "0.7985 +- 0.0259", *_BUSI),
    ("MedT", 1.37, 2.40, "0.7337 +- 0.0163", *_BUSI),
    ("UNeXt", 1.47, 0.58, "0.7416 +- 0.0284", *_BUSI),
    ("CMUNeXt", 3.14, 7.41, "0.7986 +- 0.0258", *_BUSI),
    ("UltraLight VM-UNet", 0.049, 0.060, "0.9091", "skin lesions, ISIC 2017", "arXiv 2403.20035; github.com/wurenkai/UltraLight-VM-UNet"),
    (
        "EGE-UNet",
        0.053,
        0.072,
        "0.8860",
        "skin lesions, six pairs of data sets",
        "trained by others: github.com/Chen-pcode/BLMNet",
    ),
    ("Rolling-UNet S", 1.78, 3.22, "0.8508", "skin lesions, ISIC 2018, at 320x320", "trained by others: github.com/razanharith/EPA-Net"),
)
"""Rows under `HEAD`; G operations at 256x256 unless the data say otherwise."""
