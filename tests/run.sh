#!/bin/bash
# Builds and tests everything. The last line is `N passed, N failed`; the exit code is 0 only
# when nothing failed. A test of ctest and a stage of this script each count as one.
#   tests/run.sh [--quick | --full] [--no-install]
#     --quick       release build, unit, golden and command line tests only
#     --full        also ThreadSanitizer, clang-tidy over every source, 10 minutes a fuzzer
#     --no-install  use what is there; a test whose server is missing is skipped then, which fails otherwise
# JOBS (default: the number of processors) bounds the parallel work.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=normal
install=yes
for argument in "$@"; do
  case $argument in
    --quick) mode=quick ;;
    --full) mode=full ;;
    --no-install) install=no ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
  esac
done

jobs=${JOBS:-$(nproc)}
logs=build/run
rm -rf "$logs" && mkdir -p "$logs" || exit 1
export CMAKE_BUILD_PARALLEL_LEVEL=$jobs CTEST_PARALLEL_LEVEL=$jobs
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
passed=0 failed=0 skipped=0 number=0
failures=()

finish() {
  # Everything that tests need was installed, so nothing has a reason to be left out.
  if ((skipped > 0)) && [[ $install == yes ]]; then
    failed=$((failed + skipped))
    failures+=("$skipped tests were skipped")
  elif ((skipped > 0)); then
    echo "$skipped skipped"
  fi
  ((${#failures[@]} == 0)) || printf 'failed: %s\n' "${failures[@]}"
  echo "$passed passed, $failed failed"
  ((failed == 0 && passed > 0))
  exit
}

# stage SECONDS NAME COMMAND...: one numbered check; its output goes to a log, shown on failure.
stage() {
  local limit=$1 name=$2 started=$SECONDS log code=0
  shift 2
  number=$((number + 1))
  log=$(printf '%s/%02d-%s.log' "$logs" "$number" "${name//[^A-Za-z0-9_.-]/-}")
  timeout --kill-after=20 "$limit" "$@" >"$log" 2>&1 </dev/null || code=$?
  if ((code == 0)); then
    passed=$((passed + 1))
    printf '[%02d] ok      %s (%d s)\n' "$number" "$name" $((SECONDS - started))
    return 0
  fi
  failed=$((failed + 1))
  ((code == 124)) && echo "stopped after $limit s" >>"$log"
  failures+=("$name (exit $code, log $log)")
  printf '[%02d] FAILED  %s (exit %d, %d s)\n' "$number" "$name" "$code" $((SECONDS - started))
  tail -n 80 "$log"
  return 1
}

# tests SECONDS NAME PRESET [ctest arguments]: each test counts; no test at all is a failure.
tests() {
  local limit=$1 name=$2 preset=$3 junit suite count=() attribute value code=0
  shift 3
  junit=$PWD/$logs/$name.xml
  echo "---- $name"
  timeout --kill-after=20 "$limit" ctest --test-dir "build/$preset" --output-on-failure -j"$jobs" \
    --timeout 600 --no-tests=error --output-junit "$junit" "$@" </dev/null 2>&1 |
    tee "$logs/$name.log" || code=1
  suite=$(tr '\n' ' ' 2>/dev/null <"$junit" | grep -o '<testsuite [^>]*>' | head -n1)
  for attribute in tests failures skipped disabled; do
    value=$(sed -n "s/.*[[:space:]]$attribute=\"\([0-9]*\)\".*/\1/p" <<<"$suite")
    count+=("${value:-0}")
  done
  passed=$((passed + count[0] - count[1] - count[2] - count[3]))
  skipped=$((skipped + count[2] + count[3]))
  failed=$((failed + count[1]))
  if ((count[1] > 0)); then
    failures+=("${count[1]} tests of $name (log $logs/$name.log)")
  elif ((code != 0 || count[0] == 0)); then
    failed=$((failed + 1))
    failures+=("$name: ctest did not finish (log $logs/$name.log)")
  fi
}

if [[ $install == yes ]]; then
  stage 1500 packages tests/support/install_packages.sh all || finish
fi
stage 300 configure-release cmake --preset release || finish
stage 2400 build-release cmake --build --preset release || finish

if [[ $mode == quick ]]; then
  tests 900 ctest-release release -R '^(unit|golden|cli)'
  finish
fi
tests 1800 ctest-release release

stage 120 format tests/checks/format.sh
if [[ $mode == full ]]; then
  stage 3000 tidy tests/checks/tidy.sh build/release all
else
  stage 900 tidy tests/checks/tidy.sh build/release
fi
stage 600 debian-package tests/checks/package.sh build/release

if stage 300 configure-asan cmake --preset asan &&
  stage 2400 build-asan cmake --build --preset asan --target sanitized_tests; then
  tests 2400 ctest-asan asan -R '^(unit|golden|contract|e2e_demo)'
  for harness in tamper rollback playbooks power; do
    if [[ $mode == full ]]; then
      stage 7200 "sanitized-$harness" tests/sanitized.sh build/asan "$harness" --whole
    else
      stage 600 "sanitized-$harness" tests/sanitized.sh build/asan "$harness"
    fi
  done
  [[ $mode == full ]] && stage 7200 sanitized-races tests/sanitized.sh build/asan races
fi

if [[ $mode == full ]] && stage 300 configure-tsan cmake --preset tsan &&
  stage 2400 build-tsan cmake --build --preset tsan --target unit_observe unit_match contract_host; then
  stage 1200 tsan-match build/tsan/tests/unit_match
  # Left out: 20,000 folders in each other, which take hours there, and what runs behind the walls of
  # a confined process.
  stage 1200 tsan-observe build/tsan/tests/unit_observe -w NoTests '~what lies deeper than the bound is told'
  stage 1200 tsan-workers build/tsan/tests/contract/contract_host -w NoTests 'workers*' '~workers: asked*'
fi

if stage 300 configure-fuzz cmake --preset clang &&
  stage 2400 build-fuzz cmake --build --preset clang --target fuzzers; then
  seconds=60 seed=1
  [[ $mode == full ]] && seconds=600 seed=0
  # As many at a time as there are processors; each is a check of its own.
  printf '%s\n' tests/fuzz/fuzz_*.cpp | FUZZ_SECONDS=$seconds FUZZ_SEED=$seed FUZZ_LOGS=$logs xargs -P "$jobs" -I{} bash -c '
    name=$(basename {} .cpp)
    code=0
    timeout --kill-after=20 $((FUZZ_SECONDS + 120)) tests/fuzz/smoke.sh build/clang/tests/fuzz \
      "$name" "$FUZZ_SECONDS" "$FUZZ_SEED" >"$FUZZ_LOGS/$name.log" 2>&1 </dev/null || code=$?
    echo "$code" >"$FUZZ_LOGS/$name.code"'
  for source in tests/fuzz/fuzz_*.cpp; do
    name=$(basename "$source" .cpp)
    stage 20 "$name" bash -c 'cat "$1.log"; exit "$(cat "$1.code")"' _ "$logs/$name"
  done
fi
finish
