"""Draw synthetic surfaces with scratches, holes and stains, as PNG files with a table of their labels."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_IMAGES = 600
_SIZE = 128  # pixels per side
_FAINT = 0.1  # of the defects can hardly be seen
_LABELS = ("free", "hole", "scratch", "stain")


def generate(folder: Path, *, seed: int) -> None:
    """Write data.csv (file, label) and the images into a folder."""
    draw = np.random.default_rng(seed)
    with (folder / "data.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(["file", "label"])
        for number in range(_IMAGES):
            label = _LABELS[draw.integers(len(_LABELS))]
            name = f"surface-{number:04d}.png"
            _draw_surface(label, draw).save(folder / name, optimize=True)
            rows.writerow([name, label])


def _draw_surface(label: str, draw: np.random.Generator) -> Image.Image:
    """Return one surface: ground metal with marks, and its defect, which may be faint."""
    base = draw.uniform(150, 160)
    lines = np.repeat(draw.normal(0, 2, (_SIZE, 1)), _SIZE, axis=1)  # marks of the grinding
    light = np.linspace(-5, 5, _SIZE)[None, :] * draw.uniform(-1, 1)
    image = Image.fromarray(np.clip(base + lines + light, 0, 255).astype("uint8"), "L")
    defect = Image.new("L", image.size, 0)  # how much darker, 0 to 255
    pen = ImageDraw.Draw(defect)
    x, y = draw.uniform(0.42, 0.58, 2) * _SIZE
    dark = int(draw.uniform(6, 12) if draw.random() < _FAINT else draw.uniform(70, 120))
    if label == "scratch":
        angle, length = draw.uniform(0, np.pi), draw.uniform(50, 80)
        dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
        pen.line([x - dx, y - dy, x + dx, y + dy], fill=dark, width=int(draw.integers(3, 5)))
    elif label == "hole":
        r = draw.uniform(6, 13)
        pen.ellipse([x - r, y - r, x + r, y + r], fill=dark)
    elif label == "stain":
        for _ in range(4):
            wide, high = draw.uniform(8, 18, 2)
            left, top = x - wide + draw.uniform(-9, 9), y - high + draw.uniform(-9, 9)
            pen.ellipse([left, top, left + 2 * wide, top + 2 * high], fill=dark)
        defect = defect.filter(ImageFilter.GaussianBlur(draw.uniform(3, 7)))
    noise = draw.normal(0, 4, (_SIZE, _SIZE))
    pixels = np.asarray(image, dtype=float) - np.asarray(defect, dtype=float) + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"), "L")
