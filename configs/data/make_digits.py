"""Writes digits_train.csv, digits_eval.csv and digits_base_train.csv.

Source: the 1,797 handwritten digits (8 x 8 pixels of 0 to 16) that scikit-learn ships, "Optical
Recognition of Handwritten Digits", UCI Machine Learning Repository. One digit a row: the pixels
p0 to p63, then its label. Of a seeded shuffle the first 36 of each digit are held out (360 rows);
the other 1,437 are for training, and digits_base_train.csv has those of the digits 0 to 4 alone.
Run: build/venv/peers/bin/python configs/data/make_digits.py
"""

import collections
import pathlib
import random

from sklearn.datasets import load_digits

EVAL_ROWS_EACH, BASE_DIGITS = 36, range(5)


def write(name, digits, rows):
    header = ",".join([f"p{column}" for column in range(64)] + ["labels"])
    lines = [
        ",".join([str(int(pixel)) for pixel in digits.data[row]] + [str(digits.target[row])])
        for row in rows
    ]
    (pathlib.Path(__file__).parent / name).write_text("\n".join([header, *lines]) + "\n")


def main():
    digits = load_digits()
    order = list(range(len(digits.target)))
    random.Random(0).shuffle(order)
    held_out, train = [], []
    seen = collections.Counter()
    for row in order:
        digit = digits.target[row]
        seen[digit] += 1
        (held_out if seen[digit] <= EVAL_ROWS_EACH else train).append(row)
    write("digits_eval.csv", digits, held_out)
    write("digits_train.csv", digits, train)
    write("digits_base_train.csv", digits, [r for r in train if digits.target[r] in BASE_DIGITS])


if __name__ == "__main__":
    main()
