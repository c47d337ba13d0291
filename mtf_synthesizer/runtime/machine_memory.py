"""Memory of this machine that a process may use."""

import pathlib
import re
import resource

_MEMORY = pathlib.Path("/proc/meminfo")
# Limits of a container, which the kernel keeps by ending the process: cgroups of version 2 and 1.
_LIMITS = (
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def usable() -> int | None:
    """Return the bytes that this process may use, its own included; None if unknown."""
    available = re.search(r"^MemAvailable:\s+(\d+) kB", _text(_MEMORY), re.MULTILINE)
    if available is None:  # not Linux
        return None
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limits = [int(text) for text in map(_text, _LIMITS) if text.strip().isdecimal()]
    return min([(int(available[1]) + own) * 1024, *limits])


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
