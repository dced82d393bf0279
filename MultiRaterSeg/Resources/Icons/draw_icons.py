"""Draws the icons: one lesion, four readers, two of whom see a spur. Run it to write them again:

python MultiRaterSeg/Resources/Icons/draw_icons.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parent
EXTENSION_ICON = FOLDER.parents[2] / "MultiRaterSeg.png"
SIZE, FINER = 128, 8  # pixels; drawn larger, then scaled down, for smooth edges

READERS = {"#D55E00": 1.0, "#E69F00": 0.82, "#009E73": 0.63, "#56B4E9": 0.45}  # the panel's colours, largest first
ALIGNED = 2.3  # radians: where the spur points


def outline(scale: float, spur: float) -> list[tuple[float, float]]:
    """A lesion's contour: lobes everywhere, and a spur that grows with the reader's generosity."""
    angle = np.linspace(0, 2 * np.pi, 400)
    lobes = 1 + 0.05 * np.sin(3 * angle + 0.6) + 0.03 * np.sin(5 * angle)
    offset = np.angle(np.exp(1j * (angle - ALIGNED)))
    radius = 0.39 * scale * lobes + spur * np.exp(-((offset / 0.28) ** 2))
    centre = np.array([0.53, 0.53])
    points = centre + np.stack([np.cos(angle), -np.sin(angle)], axis=1) * radius[:, None]
    return [tuple(point) for point in points * SIZE * FINER]


def draw(background: bool) -> Image.Image:
    """The extension's icon has a dark round ground, as a scan has; the module's icon is drawn on nothing."""
    image = Image.new("RGBA", (SIZE * FINER, SIZE * FINER))
    pen = ImageDraw.Draw(image)
    if background:
        pen.rounded_rectangle((0, 0, SIZE * FINER - 1, SIZE * FINER - 1), radius=24 * FINER, fill="#16202B")
    ground = "#16202B" if background else (0, 0, 0, 0)
    for (color, scale), spur in zip(READERS.items(), (0.11, 0.09, 0.0, 0.0)):
        pen.polygon(outline(scale, spur), fill=color)
        pen.polygon(outline(scale - 0.11, spur * 0.8), fill=ground)
    pen.polygon(outline(0.24, 0), fill="#DDE3E8" if background else "#8A96A3")
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    draw(background=True).save(EXTENSION_ICON, optimize=True)
    draw(background=False).save(FOLDER / "MultiRaterSeg.png", optimize=True)
