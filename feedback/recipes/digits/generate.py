"""Write scikit-learn's handwritten digits as PNG files, with a table of their labels."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

_SIZE = 96  # pixels per side


def generate(folder: Path, *, seed: int) -> None:  # noqa: ARG001 - the order is that of the data set
    """Write data.csv (file, digit) and the images into a folder."""
    digits = load_digits()
    with (folder / "data.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(["file", "digit"])
        for number, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
            grey = (255 - np.asarray(image) * 255 / 16).astype("uint8")  # the scans are 0..16, ink high
            name = f"digit-{number:04d}.png"
            Image.fromarray(grey, "L").resize((_SIZE, _SIZE), Image.Resampling.NEAREST).save(folder / name)
            rows.writerow([name, digit])
