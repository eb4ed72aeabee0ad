#!/bin/bash
# The full forms of the safety harnesses, which take hours; tests/run.sh runs their short forms.
#   tests/full.sh [--hours N] [NAME...]
#     NAME: kill errors power races steps rollback playbooks tamper fuzz (default: all of them)
#     --hours N  bound of each (default 6)
# Needs build/release (and build/clang for fuzz) as tests/run.sh makes them. Logs and the
# surroundings stand in build/full; docs/safety-figures.md tells what was seen. The last line is
# `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
hours=6
names=()
while (($# > 0)); do
  case $1 in
    --hours) hours=${2:?}; shift ;;
    kill | errors | power | races | steps | rollback | playbooks | tamper | fuzz) names+=("$1") ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
  esac
  shift
done
[[ $hours =~ ^[1-9][0-9]*$ ]] || { echo "--hours takes a whole number" >&2; exit 64; }
((${#names[@]} > 0)) || names=(kill errors power races steps rollback playbooks tamper fuzz)

release=$PWD/build/release tests=$PWD/build/release/tests logs=$PWD/build/full
tool=$release/remediate/cli/remediate
[[ -x $tool ]] || { echo "build/release is missing: run tests/run.sh first" >&2; exit 1; }
mkdir -p "$logs"
{
  date -u +%F
  uname -sr
  echo "$(nproc) processors, $(stat -f -c %T "$PWD") at the sources, $(stat -f -c %T "${TMPDIR:-/tmp}") at the temporary folder"
} | tee "$logs/surroundings"

run_kill() { "$tests/crash/kill_sweep" --tool "$tool" --full --seconds $((hours * 3600)); }
run_errors() { "$tests/crash/error_sweep" --tool "$tool" --full --seconds $((hours * 3600)); }
run_power() { REMEDIATE_LOST_WRITES=full "$tests/durability/lost_writes"; }
run_races() {
  local race code=0
  for race in capture restore removal; do
    REMEDIATE_RACE_TRIES=10000000 REMEDIATE_RACE_SECONDS=$((hours * 3600 / 12)) \
      REMEDIATE_RACE_FOLDERS=/dev/shm:${TMPDIR:-/tmp} "$tests/race/race_$race" || code=1
  done
  return $code
}
run_steps() {
  REMEDIATE_STEPS=all REMEDIATE=$tool SAMPLE_TREE=$tests/support/sample_tree \
    TREE_MANIFEST=$tests/support/tree_manifest /usr/bin/python3 -B tests/cli/step_test.py
}
run_rollback() { "$tests/property/rollback_property" --full; }
run_playbooks() { "$tests/property/hostile_playbooks" --full; }
run_tamper() {
  local scene code=0
  for scene in applied rolled_back finalized stopped crashed; do
    "$tests/tamper/tamper_sweep" --full "a store: $scene" || code=1
  done
  "$tests/tamper/tamper_sweep" --full "approvals*" || code=1
  return $code
}
run_fuzz() {
  local source code=0
  for source in tests/fuzz/fuzz_*.cpp; do
    tests/fuzz/smoke.sh build/clang/tests/fuzz "$(basename "$source" .cpp)" $((hours * 3600 / 12)) 0 || code=1
  done
  return $code
}
export -f run_kill run_errors run_power run_races run_steps run_rollback run_playbooks run_tamper run_fuzz
export hours tool tests

passed=0 failed=0
for name in "${names[@]}"; do
  started=$SECONDS code=0
  timeout --kill-after=60 $((hours * 3600 + 300)) bash -c "run_$name" >"$logs/$name.log" 2>&1 </dev/null || code=$?
  if ((code == 0)); then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  printf '%s: exit %d, %d s\n' "$name" "$code" $((SECONDS - started))
  tail -n 12 "$logs/$name.log" | sed 's/^/    /'
done
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
