"""Writes patterns/train and patterns/eval: folders of small images of three patterns.

Rows, columns and checks in two colours, of random width and position, with a little noise; half of
them JPEG, half PNG, none square.
Run: build/venv/peers/bin/python configs/data/make_patterns.py
"""

import pathlib
import random

from PIL import Image

COUNTS = {"train": 16, "eval": 8}  # images of each class
DARK = {
    "rows": lambda x, y: y % 2,
    "columns": lambda x, y: x % 2,
    "checks": lambda x, y: (x + y) % 2,
}


def pattern(is_dark):
    width, height = random.sample((40, 44, 48, 52), 2)
    band = random.randint(4, 7)
    left, top = random.randrange(band), random.randrange(band)
    light, dark = random.randint(140, 250), random.randint(5, 110)
    tint = [random.uniform(0.8, 1) for _ in range(3)]
    image = Image.new("RGB", (width, height))
    for x in range(width):
        for y in range(height):
            level = dark if is_dark((x + left) // band, (y + top) // band) else light
            level += random.gauss(0, 6)
            image.putpixel((x, y), tuple(max(0, min(255, round(level * t))) for t in tint))
    return image


def main():
    random.seed(0)
    folder = pathlib.Path(__file__).parent / "patterns"
    for split, count in COUNTS.items():
        for name, is_dark in DARK.items():
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                file = folder / split / name / f"{number:02d}.{('jpg', 'png')[number % 2]}"
                pattern(is_dark).save(file)


if __name__ == "__main__":
    main()
