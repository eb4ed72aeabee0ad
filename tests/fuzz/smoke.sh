#!/bin/bash
# Runs one fuzzer for some seconds, starting from its seeds; new inputs stay in the build folder.
#   smoke.sh FOLDER_OF_FUZZERS NAME SECONDS [SEED [EXECUTIONS]]
# SEED (default 1) makes two runs try the same inputs; 0 takes another one each time, for a search
# and not for a check of one change. EXECUTIONS end it before its time. A crash, a leak, one input
# over 5 s (sanitized, on a busy machine) or more than 512 MiB in total is a failure; the input that
# did it is left as NAME-* beside the fuzzer.
set -euo pipefail
folder=$(realpath "$1") name=$2 seconds=$3 seed=${4:-1} runs=${5:--1}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
corpus=$folder/corpus/$name
mkdir -p "$corpus"
inputs=("$corpus")
for given in "$here/seeds/${name#fuzz_}" "$here/seeds/$name" "$here/regressions/${name#fuzz_}"; do
  [[ -d $given ]] && inputs+=("$given")
done
cd "$folder"
# Freed memory that the sanitizer keeps (256 MiB unless told) and its record of callers, which grows
# with the tries, count into the bound too.
export ASAN_OPTIONS=quarantine_size_mb=64${ASAN_OPTIONS:+:$ASAN_OPTIONS}
exec "./$name" -seed="$seed" -max_total_time="$seconds" -runs="$runs" -timeout=5 -rss_limit_mb=512 \
  -max_len=65536 -print_final_stats=1 -artifact_prefix="$folder/$name-" "${inputs[@]}"
