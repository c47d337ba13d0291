"""Files of submissions: those that T5's own script makes, and what they say."""

import json
import pathlib
import subprocess
import sys


def t5_files(folder, benchmark, model, data, target):
    """What T5's own script makes of the same predictions, in the order of the data."""
    script = pathlib.Path(__file__).with_name("t5_submission.py")
    command = [sys.executable, script, benchmark, model, data, folder, target]
    subprocess.run(list(map(str, command)), check=True)
    return target


def content(name, data):
    """A file of a submission without regard to its order."""
    text = data.decode("utf-8").replace("\r\n", "\n")
    if name.endswith(".tsv"):
        header, *rows = (line.split("\t") for line in text.splitlines())
        values = {row[0]: float(row[1]) if name == "STS-B.tsv" else row[1] for row in rows}
        return header, values
    if name != "MultiRC.jsonl":
        return {row["idx"]: row["label"] for row in map(json.loads, text.splitlines())}
    return {
        (passage["idx"], question["idx"], answer["idx"]): answer["label"]
        for passage in map(json.loads, text.splitlines())
        for question in passage["passage"]["questions"]
        for answer in question["answers"]
    }
