"""Long jobs in steps that run once: when a job is run again, it resumes after the last step."""

import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, records, saving

SETTINGS = "settings.json"


class Steps:
    """Steps that run functions once and keep their results as JSON files.

    Args:
      folder: folder of the files.
    """

    def __init__(self, folder: paths.Path):
        self._folder = folder

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        """Return the result of `function`, from its file if the function has run before.

        The result has an additional `seconds`: the time of the run that finished the step.
        """
        path = self._folder / f"{name}.json"
        if path.exists():
            return _read(path, "seconds")
        print(f"{name} ...", flush=True)
        began = time.monotonic()
        result = function()
        result["seconds"] = round(time.monotonic() - began, 1)
        saving.write_json(path, result)
        return result


def check_settings(
    folder: paths.Path, settings: Mapping[str, Any], free: Collection[str] = ()
) -> None:
    """Write the settings of a job into its folder, unless the folder holds another job.

    A job without any result or checkpoint may be replaced.

    Args:
      folder: folder of the job.
      settings: settings of the job, as JSON values. One that maps names to values, as rows to
        digests, may get further names.
      free: names of settings that no result in the folder depends on yet.

    Raises:
      errors.UserError: the folder holds results with other settings.
    """
    path = folder / SETTINGS
    as_json = json.loads(json.dumps(settings))
    if path.exists() and _has_results(folder):
        recorded = _read(path)
        bound = [name for name in {**as_json, **recorded} if name not in free]
        changed = [name for name in bound if _differ(as_json.get(name), recorded.get(name))]
        if changed:
            raise errors.UserError(
                f"{folder} holds results with another {', '.join(changed)}. Remove the folder, or "
                "choose another with --output"
            )
        as_json = {name: _together(recorded.get(name), value) for name, value in as_json.items()}
    saving.write_json(path, as_json)


def _differ(new: Any, old: Any) -> bool:
    if isinstance(new, dict) and isinstance(old, dict):
        return any(new[name] != old[name] for name in new.keys() & old.keys())
    return (new or 0) != (old or 0)


def _together(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(new, dict) and isinstance(old, dict) else new


def _has_results(folder: paths.Path) -> bool:
    return any(folder.glob("steps/*.json")) or any(folder.rglob("model.ckpt-*.index"))


def _read(path: paths.Path, *needed: str) -> dict[str, Any]:
    """Read a JSON object that this job wrote; it must have the needed fields.

    Raises:
      errors.UserError: the file is not such an object.
    """

    def check(content: Any) -> None:
        if not content.keys() >= set(needed):
            raise ValueError(f"without {' and '.join(needed)}")

    remedy = "Remove it and run the command again"
    content: dict[str, Any] = records.read(path, "file of this command", check, remedy)
    return content
