"""Commands of the package run in a process of their own, several in one."""

import json
import subprocess
import sys

SCRIPT = """
import contextlib, io, json, os, sys
from mtf_synthesizer.cli import main as cli
results = {}
for name, (folder, command) in json.load(sys.stdin).items():
    os.chdir(folder)
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
    return run_all_in({name: (".", command) for name, command in commands.items()})


def run_all_in(commands):
    """As `run_all`, each in a working directory of its own: name -> (folder, command)."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
