"""Writes mlp_train.csv and mlp_eval.csv: the task of PEFT's guide on custom models.

Each of the 1000 rows is 20 uniform numbers; its label says whether their sum is over 10.
The numbers have six decimals, so that the files give the same values everywhere.
Run: python3 configs/data/make_mlp.py
"""

import pathlib
import random

ROWS, TRAIN_ROWS, COLUMNS, MILLION = 1000, 800, 20, 10**6


def main():
    generator = random.Random(0)
    rows = []
    for _ in range(ROWS):
        millionths = [generator.randrange(MILLION) for _ in range(COLUMNS)]
        label = int(sum(millionths) > 10 * MILLION)
        rows.append(",".join([f"0.{value:06d}" for value in millionths] + [str(label)]))
    header = ",".join([f"x{column}" for column in range(COLUMNS)] + ["labels"])
    folder = pathlib.Path(__file__).parent
    for name, part in (("mlp_train.csv", rows[:TRAIN_ROWS]), ("mlp_eval.csv", rows[TRAIN_ROWS:])):
        (folder / name).write_text("\n".join([header, *part]) + "\n")


if __name__ == "__main__":
    main()
