#!/bin/bash
# The full forms of the safety harnesses, which take hours; tests/run.sh runs their short forms.
#   tests/full.sh [--hours N] [NAME...]
#     NAME: kill errors power races steps directory rollback playbooks tamper fuzz (default: all of
#           them)
#     --hours N  bound of each (default 6). What is cut off by it fails, whatever it saw until then:
#                on two processors races need about 16, fuzz 30, the fuzzer of packages 300.
# Needs build/release (and build/clang for fuzz) as tests/run.sh makes them. Logs and the
# surroundings stand in build/full; docs/safety-figures.md tells what each has to reach and what was
# seen. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
all=(kill errors power races steps directory rollback playbooks tamper fuzz)
hours=6
names=()
while (($# > 0)); do
  case $1 in
    --hours) hours=${2:-}; shift ;;
    *)
      [[ " ${all[*]} " == *" $1 "* ]] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 64; }
      names+=("$1")
      ;;
  esac
  shift || break
done
[[ $hours =~ ^[1-9][0-9]*$ ]] || { echo "--hours takes a whole number" >&2; exit 64; }
((${#names[@]} > 0)) || names=("${all[@]}")

release=$PWD/build/release tests=$PWD/build/release/tests logs=$PWD/build/full
tool=$release/remediate/cli/remediate
[[ -x $tool ]] || { echo "build/release is missing: run tests/run.sh first" >&2; exit 1; }
processors=$(nproc) seconds=$((hours * 3600))
mkdir -p "$logs"
{
  date -u +%F
  uname -sr
  echo "$processors processors, $(stat -f -c %T "$PWD") at the sources, $(stat -f -c %T "${TMPDIR:-/tmp}") at the temporary folder"
} | tee "$logs/surroundings"

run_kill() {
  # On one mount, then with the hold at the top of another one.
  local code=0
  "$tests/crash/kill_sweep" --tool "$tool" --full --seconds $((seconds / 2)) --workers "$processors" || code=1
  "$tests/crash/kill_sweep" --tool "$tool" --full --apart --steps apply,rollback --seconds $((seconds / 2)) \
    --workers "$processors" || code=1
  return $code
}
run_errors() { "$tests/crash/error_sweep" --tool "$tool" --full --seconds "$seconds" --workers "$processors"; }
run_power() { REMEDIATE_LOST_WRITES=full "$tests/durability/lost_writes"; }
run_races() {
  # 12 shapes on two file systems, one after the other.
  local race code=0
  for race in capture restore removal; do
    REMEDIATE_RACE_TRIES=10000000 REMEDIATE_RACE_SECONDS=$((seconds / 24)) \
      REMEDIATE_RACE_FOLDERS=/dev/shm:${TMPDIR:-/tmp} "$tests/race/race_$race" || code=1
  done
  return $code
}
run_python() {
  REMEDIATE=$tool SAMPLE_TREE=$tests/support/sample_tree TREE_MANIFEST=$tests/support/tree_manifest \
    CONTRACT_DIRECTORY=$tests/contract/contract_directory /usr/bin/python3 -B "$1"
}
run_steps() { REMEDIATE_STEPS=all run_python tests/cli/step_test.py; }
run_directory() { DIRECTORY_SWEEP=full run_python tests/e2e/directory_test.py; }
run_rollback() { "$tests/property/rollback_property" --full --workers "$processors"; }
run_playbooks() { "$tests/property/hostile_playbooks" --full --workers "$processors"; }
run_tamper() {
  local scene code=0
  for scene in applied rolled_back finalized stopped crashed; do
    "$tests/tamper/tamper_sweep" --full "a store: $scene" || code=1
  done
  "$tests/tamper/tamper_sweep" --full "approvals*" || code=1
  return $code
}
# Says how many executions there were; fewer than were asked for are a failure.
fuzz_one() {
  local name=$1 share=$2 runs=$3 code=0 made
  tests/fuzz/smoke.sh build/clang/tests/fuzz "$name" "$share" 0 "$runs" >"$logs/$name.log" 2>&1 || code=$?
  made=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$name.log")
  echo "$name: exit $code, ${made:-0} of $runs executions"
  ((code == 0 && ${made:-0} >= runs)) || { tail -n 5 "$logs/$name.log"; return 1; }
}
run_fuzz() {
  local sources=(tests/fuzz/fuzz_*.cpp) rounds
  rounds=$(((${#sources[@]} + processors - 1) / processors))
  printf '%s\n' "${sources[@]}" | xargs -P "$processors" -I{} bash -c \
    'fuzz_one "$(basename "$1" .cpp)" "$2" 100000000' _ {} $((seconds / rounds))
}
export -f run_kill run_errors run_power run_races run_python run_steps run_directory run_rollback \
  run_playbooks run_tamper fuzz_one run_fuzz
export seconds processors tool tests logs

passed=0 failed=0
for name in "${names[@]}"; do
  started=$SECONDS code=0 why=
  timeout --kill-after=60 $((seconds + 600)) bash -c "run_$name" >"$logs/$name.log" 2>&1 </dev/null || code=$?
  ((code == 124 || code == 137)) && why=", stopped: it takes longer than $hours h"
  if ((code == 0)); then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  printf '%s: exit %d, %d s%s\n' "$name" "$code" $((SECONDS - started)) "$why"
  tail -n 20 "$logs/$name.log" | sed 's/^/    /'
done
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
