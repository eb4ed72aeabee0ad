#!/bin/sh
# Measures `plan` beside the programs that people would use instead. See compare.py --help.
exec python3 -B "$(dirname "$0")/compare.py" "$@"
