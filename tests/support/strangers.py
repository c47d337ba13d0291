"""Model folders that try to run something: each leaves the file PWNED in the working directory."""

import dataclasses
import pathlib
import shutil

MODEL = pathlib.Path(__file__).resolve().parent.parent / "golden" / "first_house" / "r"
CONFIG = "runs/m/operative_config.gin"
MARKER = "PWNED"
DYNAMIC = """from __gin__ import dynamic_registration
import os
os.system.command = 'touch PWNED'
dropout_rate = @os.system()
"""
MODULE = "import pathlib\npathlib.Path('PWNED').touch()\n"


@dataclasses.dataclass(frozen=True)
class Way:
    """A way in.

    Attributes:
      text: stands before the configuration of a real model; {place} is the working directory.
      said: in the message.
      line: the file and line that the message names.
      files: path in the working directory -> text.
      alone: whether nothing of the real configuration follows.
    """

    text: str
    said: str
    line: str = f"{CONFIG}:1:"
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    alone: bool = False


OTHER = {"other/dyn.gin": DYNAMIC}
IMPORTS = "imports {}, which this command does not name. If you trust the module, give "
IMPORTS += "--module_import {}"
INCLUDES = "which lies neither in"
CONFIGURES = "configures {}, which neither the packages nor"
WAYS = {
    "dynamic registration": Way(DYNAMIC, "may not use __gin__.dynamic_registration"),
    "dynamic registration in one small file": Way(
        f"include 'synthetic_attention.gin'\ninclude 'local_cpu.gin'\n{DYNAMIC}",
        "may not use __gin__.dynamic_registration",
        f"{CONFIG}:3:",
        alone=True,
    ),
    "a module of Python": Way("import os\n", IMPORTS.format("os", "os")),
    "a module under another name": Way(
        "import subprocess as t5\n", IMPORTS.format("subprocess", "subprocess")
    ),
    "a function as a module": Way("from os import system as run\n", "imports os.system, which"),
    "a library that is none of the packages": Way("import tensorflow\n", "imports tensorflow,"),
    "a module in the working directory": Way(
        "import beside\n", IMPORTS.format("beside", "beside"), files={"beside.py": MODULE}
    ),
    "a module that is named almost as a package": Way(
        "import t5evil\n", "imports t5evil,", files={"t5evil.py": MODULE}
    ),
    "a file of the folder": Way(
        "include 'runs/m/dyn.gin'\n",
        "may not use __gin__.dynamic_registration",
        "runs/m/dyn.gin:1:",
        {"runs/m/dyn.gin": DYNAMIC},
    ),
    "a file below the folder that imports a module": Way(
        "include 'runs/m/a/b.gin'\n",
        "imports beside,",
        "runs/m/a/b.gin:2:",
        {"runs/m/a/b.gin": "d_model = 16\nimport beside\n", "beside.py": MODULE},
    ),
    "an absolute path": Way("include '{place}/other/dyn.gin'\n", INCLUDES, files=OTHER),
    "a path upwards": Way("include 'runs/m/../../other/dyn.gin'\n", INCLUDES, files=OTHER),
    "a file of the working directory": Way("include 'other/dyn.gin'\n", INCLUDES, files=OTHER),
    "a link": Way("include 'runs/m/link.gin'\n", INCLUDES, files=OTHER),
    "a file in the place of one that a package includes": Way(
        "include 'blanks.gin'\n",
        INCLUDES,
        "blanks.gin:5:",
        {"encoder_only.gin": DYNAMIC},
    ),
    "a URL": Way("include 'gs://nowhere/dyn.gin'\n", INCLUDES),
    "a function that is called": Way(
        "dropout_rate = @os.system()\n", CONFIGURES.format("os.system")
    ),
    "a function inside of a value": Way(
        "dropout_rate = {'a': [(1, @long/shutil.rmtree)]}\n", CONFIGURES.format("shutil.rmtree")
    ),
    "a scope": Way("os/system.command = 'touch PWNED'\n", CONFIGURES.format("system")),
    "a block": Way(
        "os.system:\n  command = 'touch PWNED'\n", CONFIGURES.format("os.system"), f"{CONFIG}:1:"
    ),
    "a macro of a singleton": Way(
        "x/gin.singleton.constructor = @os.getcwd\ndropout_rate = @x/gin.singleton()\n",
        CONFIGURES.format("os.getcwd"),
    ),
}


def prepare(place: pathlib.Path, way: Way) -> None:
    """Makes the folder runs/m and what is beside it."""
    shutil.copytree(MODEL, place / "runs" / "m")
    for path, text in way.files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text, "utf-8")
    (place / "runs" / "m" / "link.gin").symlink_to(place / "other" / "dyn.gin")
    text = way.text.replace("{place}", str(place))
    rest = "" if way.alone else (MODEL / "operative_config.gin").read_text("utf-8")
    (place / CONFIG).write_text(text + rest, "utf-8")
