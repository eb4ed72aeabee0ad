#!/bin/bash
# Every tracked C++ source is formatted as .clang-format says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mapfile -d '' sources < <(git -c safe.directory="*" ls-files -z --cached --others --exclude-standard -- '*.h' '*.cpp')
((${#sources[@]} > 0)) || { echo "no sources found" >&2; exit 1; }
echo "${#sources[@]} files"
printf '%s\0' "${sources[@]}" | xargs -0 clang-format-19 --dry-run -Werror
