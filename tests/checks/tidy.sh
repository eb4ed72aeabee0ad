#!/bin/bash
# clang-tidy over the code that acts on a host, or with `all` over every source and with the
# path-sensitive checks too.
#   tidy.sh BUILD_FOLDER [all]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=$1
checks=()
if [[ ${2:-} == all ]]; then
  folders='(remediate|quarantine)/'
else
  folders='(remediate/(host|journal|run)|quarantine)/'
  checks=(-checks=-clang-analyzer-*)  # minutes of path exploration: with `all`
fi
[[ -f $build/compile_commands.json ]] || { echo "$build is not configured" >&2; exit 1; }
PYTHONUNBUFFERED=1 run-clang-tidy-19 -quiet -j"${JOBS:-$(nproc)}" -p "$build" -warnings-as-errors='*' "${checks[@]}" -extra-arg=-Wno-unknown-warning-option -extra-arg=-Wno-deprecated-declarations "^$PWD/$folders"
