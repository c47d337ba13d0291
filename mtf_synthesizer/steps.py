"""Long jobs in steps that are done once: run again, a job goes on where it was."""

import json
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from mtf_synthesizer import names, saving

SETTINGS = "settings.json"


class Steps:
    """Runs functions once: their results are kept as JSON files.

    Args:
      folder: where the files are.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        """The result of `function`, from its file if it was run before.

        The result has `seconds` added, the time of the run that finished the step.
        """
        path = self._folder / f"{name}.json"
        if path.exists():
            return json.loads(path.read_text("utf-8"))
        print(f"{name} ...", flush=True)
        began = time.monotonic()
        result = function()
        result["seconds"] = round(time.monotonic() - began, 1)
        saving.write_json(path, result)
        return result


def check_settings(folder: pathlib.Path, settings: Mapping[str, Any]) -> None:
    """Writes the settings of a job into its new folder.

    Raises:
      names.UserError: the folder holds a job with other settings.
    """
    path = folder / SETTINGS
    wanted = json.loads(json.dumps(settings))
    if path.exists() and (found := json.loads(path.read_text("utf-8"))) != wanted:
        changed = [name for name in wanted if wanted[name] != found.get(name)]
        raise names.UserError(
            f"{folder} holds results with another {', '.join(changed)}; remove the folder or "
            "choose another with --output"
        )
    saving.write_json(path, wanted)
