"""Writes one of the models of models.py as an exported program.

    python tests/export/export_model.py minilm minilm.pt2 --train
"""

import argparse

import models


def main():
    parser = argparse.ArgumentParser(description="Export a model with stock PyTorch.")
    parser.add_argument("model", choices=models.MODELS)
    parser.add_argument("output", help="the .pt2 file to write")
    parser.add_argument("--train", action="store_true", help="export in training mode")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dropout", type=float, help="dropout of minilm, 0.1 if not given")
    parser.add_argument("--attention", choices=("sdpa", "eager"), help="attention of minilm")
    arguments = parser.parse_args()
    options = {
        key: value
        for key, value in vars(arguments).items()
        if key in ("dropout", "attention") and value is not None
    }
    if options and arguments.model != "minilm":
        parser.error("--dropout and --attention are for minilm")
    built = models.example(arguments.model, arguments.seed, **options)
    models.export_to(arguments.output, built, training=arguments.train)


if __name__ == "__main__":
    main()
