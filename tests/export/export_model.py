"""Writes one of the models of models.py as an exported program.

    python tests/export/export_model.py minilm minilm.pt2 --train
"""

import argparse

import models

OPTIONS = {"dropout": "minilm", "attention": "minilm", "pretrained": "poolformer"}


def main():
    parser = argparse.ArgumentParser(description="Export a model with stock PyTorch.")
    parser.add_argument("model", choices=models.MODELS)
    parser.add_argument("output", help="the .pt2 file to write")
    parser.add_argument("--train", action="store_true", help="export in training mode")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dropout", type=float, help="dropout of minilm, 0.1 if not given")
    parser.add_argument("--attention", choices=("sdpa", "eager"), help="attention of minilm")
    parser.add_argument(
        "--pretrained", action="store_true", default=None, help="fetch poolformer's weights"
    )
    arguments = parser.parse_args()
    options = {}
    for key, model in OPTIONS.items():
        if getattr(arguments, key) is None:
            continue
        if arguments.model != model:
            parser.error(f"--{key} is for {model}")
        options[key] = getattr(arguments, key)
    built = models.example(arguments.model, arguments.seed, **options)
    models.export_to(arguments.output, built, training=arguments.train)


if __name__ == "__main__":
    main()
