"""Reads rows of features, and writes what a model must say of itself."""

import csv
import sys

import numpy as np

PROPERTY = "harbinger.features"


def read(path):
    """The version, the names, and features, labels and weights as arrays in the order of time."""
    with open(path, newline="") as file:
        rows = csv.reader(file)
        heading = next(rows)
        key, _, version = heading[0].partition("=")
        if key != PROPERTY or heading[-2:] != ["label", "weight"]:
            sys.exit(f"{path}: the first line must be {PROPERTY}=VERSION,FEATURE,...,label,weight")
        # Answers are written when they are known; what matters for the split is when was asked.
        answers = sorted(([float(cell) for cell in row] for row in rows), key=lambda row: row[0])
    table = np.array([row[1:] for row in answers], dtype=np.float32)
    if len(table) < 10 or len(set(table[:, -2])) < 2:
        sys.exit(f"{path}: {len(table)} rows are too few, or all labels are the same")
    features = np.nan_to_num(table[:, :-2], nan=0.0, posinf=0.0, neginf=0.0)
    return version, heading[1:-2], features, table[:, -2], table[:, -1]


def split(count):
    """The first four fifths are for training, the rest for the test: never the other way, and never at random."""
    end = count * 4 // 5
    return slice(0, end), slice(end, count)


def scale(features):
    """Mean and deviation of each feature, of the rows for training alone."""
    deviation = features.std(axis=0)
    return features.mean(axis=0), np.where(deviation > 1e-6, deviation, 1.0)


def report(probability, label, weight, base):
    """Prints the log-loss on the test, beside that of always saying the base rate."""

    def log_loss(said):
        said = np.clip(said, 1e-7, 1 - 1e-7)
        return float(np.average(-(label * np.log(said) + (1 - label) * np.log(1 - said)), weights=weight))

    constant = log_loss(np.full_like(label, base))
    print(f"log-loss of the last {len(label)} rows: {log_loss(probability):.4f}; of the base rate: {constant:.4f}")


def stamp(path, version):
    """Writes the version of the features into the file."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {PROPERTY: version})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    print(f"{path}: features {version}, {model.ByteSize()} bytes")
