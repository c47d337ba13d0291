"""Predictions as they are read from files, some of them changed, and tables of a zip."""

import pathlib
import zipfile

import full_predictions

from mtf_synthesizer.submissions.prediction_files import Prediction

COLA, STSB, WNLI = "glue_cola_v002", "glue_stsb_v002", "glue_wnli_v002_simple_eval"
WSC, MULTIRC = "super_glue_wsc_v102_simple_eval", "super_glue_multirc_v102"


def predictions(*tasks):
    """Those of full_predictions as they are read from a file."""
    rows = [row for task in tasks for row in full_predictions.of(task)]
    return as_read(rows)


def as_read(rows):
    return [Prediction(pathlib.Path("p.jsonl"), i, row) for i, row in enumerate(rows, start=1)]


def without(task, index):
    return [row for row in full_predictions.of(task) if row["index"] != index]


def changed(task, index, /, **fields):
    return [row | (fields if row["index"] == index else {}) for row in full_predictions.of(task)]


def table(path, name):
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(name).decode("utf-8").splitlines()
    return dict(line.split("\t") for line in lines[1:])
