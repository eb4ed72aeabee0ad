#!/bin/bash
# Line and branch coverage of what keeps files safe: quarantine/, remediate/journal, run, host.
#   tests/coverage/coverage.sh [--no-build] [--list]
#     --list   also print every line and branch that no test reached and nobody explained
# Builds with clang and source-based coverage in build/coverage, runs the tests that need no other
# build, and judges by explained.tsv. Exit 0: whatever no test reaches is explained there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=yes list=()
for argument in "$@"; do
  case $argument in
    --no-build) build=no ;;
    --list) list=(--list) ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
  esac
done
jobs=${JOBS:-$(nproc)}
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
if [[ $build == yes ]]; then
  timeout 300 cmake --preset coverage
  timeout 3000 cmake --build --preset coverage -j"$jobs" --target sanitized_tests \
    error_sweep lost_writes rollback_property hostile_playbooks tamper_sweep
fi

# Every process adds its counters to one of a few files; a killed one adds nothing.
profiles=$PWD/build/coverage/profiles
rm -rf "$profiles" && mkdir -p "$profiles"
LLVM_PROFILE_FILE=$profiles/%8m.profraw timeout 3000 ctest --test-dir build/coverage -j"$jobs" \
  --timeout 1500 --no-tests=error -R '^(unit|contract|cli|crash_error|property|durability|tamper)' \
  -E '^crash_harness' --output-on-failure || echo "some tests failed: see above" >&2

programs=()
while read -r program; do
  programs+=(-object "$program")
done < <(find build/coverage -type f -perm -u+x ! -name '*.so*' ! -path '*/CMakeFiles/*' \
  -exec sh -c 'head -c4 "$1" | grep -q ELF' _ {} \; -print)
llvm-profdata-19 merge -sparse -o build/coverage/all.profdata "$profiles"/*.profraw
llvm-cov-19 export -format=lcov -instr-profile build/coverage/all.profdata "${programs[@]:1}" \
  quarantine remediate/journal remediate/run remediate/host >build/coverage/all.lcov 2>build/coverage/export.log
exec python3 tests/coverage/judge.py "${list[@]}" "$PWD" build/coverage/all.lcov tests/coverage/explained.tsv
