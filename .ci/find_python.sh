#!/bin/sh
# Prints the first usable Python: of the arguments, or without arguments of the usual names.
# Each is tried out, because a version manager's command may exist for a version it doesn't run.

usable='import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

[ $# -gt 0 ] || set -- python3.13 python3.12 python3.11 python3 python
for python in "$@"; do
    if "$python" -c "$usable" > /dev/null 2>&1; then
        echo "$python"
        exit 0
    fi
done

echo "No Python 3.11, 3.12 or 3.13 with the module venv among: $*." \
    "Say where one is: make install PYTHON=/path/to/python3.12" >&2
exit 1
