#!/bin/bash
# One harness of safety as a sanitizer preset built it, with few cases: what is looked for is a wrong
# access to memory, not a rare state.
#   tests/sanitized.sh BUILD NAME [--whole]
#     NAME: tamper, rollback, playbooks, races or power
#     --whole  as many cases as every run of the tests has without sanitizers
set -euo pipefail
build=$1/tests name=$2 whole=${3:-}
case $name in
  tamper)
    scenes=("a store: crashed" "approvals*")
    [[ $whole ]] && scenes=("a store: "{applied,rolled_back,finalized,stopped,crashed} "approvals*")
    for scene in "${scenes[@]}"; do "$build/tamper/tamper_sweep" -w NoTests "$scene"; done
    ;;
  rollback) "$build/property/rollback_property" --cases "$([[ $whole ]] && echo 1000 || echo 60)" ;;
  playbooks) "$build/property/hostile_playbooks" --cases "$([[ $whole ]] && echo 10000 || echo 400)" ;;
  races)
    # Fewer tries than that show nothing: some shapes are won once in thousands.
    for race in capture restore removal; do "$build/race/race_$race" -w NoTests; done
    ;;
  power) "$build/durability/lost_writes" -w NoTests "$([[ $whole ]] && echo '~[.again]' || echo '[planted],[killed]')" ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
