#!/bin/bash
# Line and branch coverage of what keeps files safe: quarantine/, remediate/journal, run, host.
#   tests/coverage/coverage.sh [--no-build] [--list]
#     --list   print what no test reached and nobody explained as rows for explained.tsv
# Builds with clang and source-based coverage in build/coverage, runs the tests that reach most in
# little time, and judges by explained.tsv. Exit 0: whatever no test reaches is explained there.
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
programs=(unit_run unit_journal unit_quarantine unit_host contract_host contract_errors remediate)
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export CCACHE_EXTRAFILES=$PWD/tests/coverage/folders.list  # what is counted
if [[ $build == yes ]]; then
  # The health probe is built with GCC only.
  timeout 300 cmake --preset release
  timeout 3000 cmake --build --preset release -j"$jobs" --target remediate_probe
  timeout 300 cmake --preset coverage
  timeout 3000 cmake --build --preset coverage -j"$jobs" --target "${programs[@]}" sample_tree \
    tree_manifest error_sweep kill_sweep
  cp build/release/remediate/cli/remediate-probe build/coverage/remediate/cli/
fi

# Every process adds its counters to one of a few files when it ends. One that is killed adds none:
# its last function would pass for one that went on.
out=$PWD/build/coverage
rm -rf "$out/profiles" && mkdir -p "$out/profiles"
# Programs that count are slow: the bounds of the tests are for those that do not.
find "$out" -name CTestTestfile.cmake -exec sed -i 's/TIMEOUT "[0-9]*"/TIMEOUT "3000"/' {} +
tests() {
  timeout 7200 ctest --test-dir "$out" -j"$jobs" --timeout 3000 --no-tests=error --output-on-failure \
    "$@" >>"$out/tests.log" || echo "some tests failed: see $out/tests.log" >&2
}
begun=$SECONDS
: >"$out/tests.log"
LLVM_PROFILE_FILE=$out/profiles/%8m.profraw tests -R '^(unit_(run|run_sweep|run_look|journal|quarantine|host)|contract_(host|errors)|cli_.*|crash_error_sweep)$' -E '^cli_(full|step)$'
# What is killed adds nothing; the recoveries behind the kills do.
for step in apply unfinalize; do
  LLVM_PROFILE_FILE=$out/profiles/%8m.profraw timeout 600 "$out/tests/crash/kill_sweep" \
    --tool "$out/remediate/cli/remediate" --steps "$step" --seconds 60 >>"$out/tests.log" ||
    echo "kill_sweep failed: see $out/tests.log" >&2
done
# A confined child cannot write a file in the end, so it counts in memory that is one.
LLVM_PROFILE_FILE=$out/profiles/c%c%8m.profraw tests -R '^(contract_(host|errors)|cli_(baseline|compiled|setting|iis|replace|yara))$'
echo "tests: $((SECONDS - begun)) s"

objects=()
for program in "${programs[@]}"; do
  objects+=(-object "$(find "$out" -type f -name "$program" -perm -u+x | head -1)")
done
llvm-profdata-19 merge -sparse -o "$out/all.profdata" "$out"/profiles/*.profraw
for format in lcov text; do
  llvm-cov-19 export -format=$format -skip-expansions -instr-profile "$out/all.profdata" "${objects[@]:1}" \
    quarantine remediate/journal remediate/run remediate/host >"$out/all.$format" 2>"$out/export.log"
done
grep -E '[*]{3}(Failed|Timeout|Not Run|Exception)' "$out/tests.log" || true
exec python3 tests/coverage/judge.py --coarse "${list[@]}" "$PWD" "$out/all.lcov" "$out/all.text" tests/coverage/explained.tsv
