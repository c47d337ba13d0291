"""Commands of the package run in a process of their own, several in one."""

import json
import subprocess
import sys

SCRIPT = """
import contextlib, io, json, sys
from mtf_synthesizer.cli import main as cli
results = {}
for name, command in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(command)
        except SystemExit as end:
            status = end.code
    loaded = "tensorflow" in sys.modules
    results[name] = [status, out.getvalue(), err.getvalue(), loaded]
json.dump(results, sys.stdout)
"""


def run_all(commands):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
