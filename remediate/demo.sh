#!/bin/bash
# Shows the tool at work, each step with its command line.
#   remediate/demo.sh [--keep] [--no-install]
#       builds the tool, writes an inert tree of a server that was broken into, removes what its
#       playbooks name, proves what was done with stock openssl, and takes it all back
#   remediate/demo.sh --root DIR [--playbook FILE]...
#       plans on a tree of your own with the shipped (or your own) playbooks; changes nothing
# --build DIR uses that finished build folder; --keep leaves the temporary folder. Exit 0 only when everything was as expected.
set -uo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root="" build="" keep=no install=yes
playbooks=()
usage() {
  sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 64
}
while (($# > 0)); do
  case $1 in
    --root) root=${2:?"--root needs a folder"}; shift ;;
    --playbook) playbooks+=("$(realpath -e -- "${2:?"--playbook needs a file"}")") || exit 64; shift ;;
    --build) build=$(realpath -e -- "${2:?"--build needs a folder"}") || exit 64; shift ;;
    --keep) keep=yes ;;
    --no-install) install=no ;;
    *) usage ;;
  esac
  shift
done
((${#playbooks[@]} == 0)) || [[ -n $root ]] || usage

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold="" green="" red="" plain=""
fi
passed=0
mismatches=()
title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
good() { passed=$((passed + 1)); printf '%s   ok: %s%s\n' "$green" "$*" "$plain"; }
bad() { mismatches+=("$*"); printf '%s   MISMATCH: %s%s\n' "$red" "$*" "$plain"; }
stop() { echo "demo: $*" >&2; exit 1; }

# run CODE COMMAND...: shows the command and its output, and expects the exit code.
run() {
  local wanted=$1 code=0
  shift
  printf '%s$' "$bold"
  printf ' %q' "$@"
  printf '%s\n' "$plain"
  "$@" >"$work/out" 2>&1 </dev/null || code=$?
  head -n "${lines:-25}" "$work/out" | sed 's/^/   /'
  local all
  all=$(wc -l <"$work/out")
  ((all <= ${lines:-25})) || echo "   ... ($((all - ${lines:-25})) more lines)"
  if ((code == wanted)); then
    good "exit code $code"
  else
    bad "exit code $code instead of $wanted: $(printf '%q ' "$@")"
    return 1
  fi
}
# field NAME FILE: the first text value of that name in a JSON file.
field() { sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\([^\"]*\)\".*/\1/p" "$2" | head -n1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/remediate-demo.XXXXXX") || exit 1
cleanup() {
  if [[ $keep == yes ]]; then
    echo "kept: $work"
  else
    chattr -R -f -i "$work" 2>/dev/null || true
    rm -rf "$work"
  fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [[ -z $build ]]; then
  title "Build"
  if [[ $install == yes ]]; then
    "$source_dir/tests/support/install_packages.sh" build || stop "packages are missing"
  fi
  build=$source_dir/build/release
  (
    cd "$source_dir" &&
      cmake --preset release &&
      cmake --build --preset release -j "$(nproc)" --target remediate sample_tree tree_manifest
  ) >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; stop "the build failed"; }
fi
PATH=$build/remediate/cli:$build/tests/support:$PATH
remediate --version || stop "the tool does not start"

if [[ -n $root ]]; then
  [[ -d $root ]] || stop "$root is no folder"
  ((${#playbooks[@]} > 0)) || playbooks=("$source_dir"/playbooks/*.json)
  arguments=()
  for playbook in "${playbooks[@]}"; do arguments+=(-p "$playbook"); done
  title "What would be done below $root (a plan; nothing is changed)"
  lines=1000000 run 0 remediate plan "${arguments[@]}" --root "$root"
  ((${#mismatches[@]} == 0))
  exit
fi

disk=$work/disk store=$work/store
books=("$source_dir"/playbooks/{hafnium-2021,proxyshell-2021,php-webroot}.json)
plan_arguments=()
for playbook in "${books[@]}"; do plan_arguments+=(-p "$playbook"); done
remediate() { command remediate --store "$store" --no-input "$@"; }
manifest() { tree_manifest "$disk" --no-atime; }
names() { (cd "$disk" && find . -mindepth 1 -printf '%P\0' | LC_ALL=C sort -z) >"$work/$1.names"; }
# Compares with the list of everything that has to go, and nothing else may.
removed() {
  local path lines text settings=0 left=()
  while IFS=$'\t' read -r path lines text; do
    if [[ $path == \#* ]]; then
      continue
    elif [[ -z $text ]]; then
      printf '%b\0' "$path"
    else
      settings=$((settings + 1))
      (($(grep -cF -- "$text" "$disk/$path") == lines)) || left+=("$text")
    fi
  done <"$source_dir/tests/support/sample_gone.txt" >"$work/wanted.unsorted"
  LC_ALL=C sort -z "$work/wanted.unsorted" >"$work/wanted.names"
  names after
  LC_ALL=C comm -z -23 "$work/before.names" "$work/after.names" >"$work/gone.names"
  if cmp -s "$work/wanted.names" "$work/gone.names"; then
    good "all $(tr -cd '\0' <"$work/gone.names" | wc -c) shells and compiled pages of the list are gone, and nothing else"
  else
    bad "what is gone is not what the list says"
    LC_ALL=C comm -z -3 "$work/wanted.names" "$work/gone.names" | tr '\n\0' '?\n' | cat -v | head -n 20
  fi
  if ((${#left[@]} == 0 && settings > 0)); then
    good "all $settings settings of the list are gone; what a comment says of them stayed"
  else
    bad "of the settings $(printf '%q ' "${left[@]}")there is not what the list says"
  fi
}
same_as_before() {
  manifest >"$work/after.manifest"
  if cmp -s "$work/before.manifest" "$work/after.manifest"; then
    good "the tree is what it was: names, bytes, modes, owners, ACLs, attributes, times, holes, hard links"
  else
    bad "the tree differs from what it was"
    diff "$work/before.manifest" "$work/after.manifest" | head -n 20
  fi
}
# apply_plan FILE: applies with the plan's id and leaves the run's id in `run_id`. The plan waits
# where php-fpm has to be reloaded between a line of .user.ini and the file that it names.
apply_plan() {
  local id
  id=$(field plan_id "$1")
  run 3 remediate --format json apply "$1" --confirm "$id"
  run_id=$(field run_id "$work/out")
  [[ -n $run_id ]] || { bad "no run id"; return 1; }
  run 0 remediate resume "$run_id"
}

title "A store for keys, evidence and removed files"
run 0 remediate init

title "A server that was broken into (inert; the same on every run)"
run 0 sample_tree "$disk"
manifest >"$work/before.manifest" || stop "the tree cannot be read"
names before

title "The playbooks are valid"
run 0 remediate check "${books[@]}"

title "Plan: what would be done, and why"
lines=60 run 0 remediate plan "${plan_arguments[@]}" --root "$disk"
run 2 remediate plan "${plan_arguments[@]}" --root "$disk" -o "$work/plan.json" --detailed-exitcode
run 0 remediate show "$work/plan.json" --html "$work/plan.html"
if [[ -s $work/plan.html ]]; then good "plan.html is written"; else bad "no plan.html"; fi
manifest | cmp -s - "$work/before.manifest" && good "planning changed nothing" || bad "planning changed the tree"

title "Apply: exactly the plan"
run 5 remediate apply "$work/plan.json"
apply_plan "$work/plan.json"
first=$run_id
removed
# 3, not 0: nothing is left to change, and the places that cannot be looked into are still there.
run 3 remediate plan "${plan_arguments[@]}" --root "$disk" --detailed-exitcode
run 0 remediate list

title "Verify: with the tool, and with openssl alone"
run 0 remediate verify "$first"
folder=$store/runs/$first
run 0 openssl cms -verify -binary -cades -inform DER -in "$folder/manifest.json.p7s" \
  -content "$folder/manifest.json" -CAfile "$store/keys/signer.crt" -purpose any -out /dev/null
object=$(find "$store/objects" -type f -name '*.p7m' | sort | head -n1)
run 0 openssl cms -decrypt -binary -inform DER -in "$object" -recip "$store/keys/recovery.crt" \
  -inkey "$store/keys/recovery.key" -out "$work/opened"
if grep -qF "$(sha256sum "$work/opened" | cut -d' ' -f1)" "$folder/manifest.json"; then
  good "the opened object has the digest that the signed manifest names"
else
  bad "the opened object is in no manifest"
fi

title "Roll back"
run 0 remediate rollback "$first"
same_as_before

title "The same with an approval by signature"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=Alice Approver" \
  -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=emailProtection,codeSigning \
  -keyout "$work/alice.key" -out "$work/alice.crt" 2>/dev/null || stop "no approver key"
chmod 600 "$work/alice.key"
cat >"$work/policy.json" <<'POLICY'
{
  "format_version": 1,
  "approval": { "approvers": ["alice.crt"], "threshold": 1 }
}
POLICY
run 0 remediate --policy "$work/policy.json" plan "${plan_arguments[@]}" --root "$disk" -o "$work/signed.json"
run 5 remediate --policy "$work/policy.json" apply "$work/signed.json"
run 0 remediate --policy "$work/policy.json" approve "$work/signed.json" --cert "$work/alice.crt" --key "$work/alice.key"
run 0 openssl cms -verify -binary -cades -inform DER -in "$work/signed.json.p7s" \
  -content "$work/signed.json" -CAfile "$work/alice.crt" -purpose any -out /dev/null
run 3 remediate --policy "$work/policy.json" --format json apply "$work/signed.json"
second=$(field run_id "$work/out")
run 0 remediate --policy "$work/policy.json" resume "$second"
removed
run 0 remediate rollback "$second"
same_as_before

title "Finalize, and roll back from the sealed objects alone"
run 0 remediate plan "${plan_arguments[@]}" --root "$disk" -o "$work/third.json"
apply_plan "$work/third.json"
third=$run_id
run 0 remediate finalize "$third"
run 0 remediate export "$third" -o "$work/events.jsonl" --as ocsf
run 0 remediate export "$third" -o "$work/samples.zip" --as infected-zip
for file in "$work/events.jsonl" "$work/samples.zip"; do
  if [[ -s $file ]]; then good "$(basename "$file"), $(stat -c %s "$file") bytes"; else bad "no $(basename "$file")"; fi
done
run 0 remediate rollback "$third" --recovery-key "$store/keys/recovery.key"
same_as_before

title "Nothing is left to do"
run 0 remediate resume
run 0 remediate verify
run 0 remediate list

title "Summary"
if ((${#mismatches[@]} > 0)); then
  printf '%s%s\n' "$red" "$passed as expected, ${#mismatches[@]} not:"
  printf '  %s\n' "${mismatches[@]}"
  printf '%s' "$plain"
  exit 1
fi
echo "${green}$passed checks, all as expected: removed, verified, and taken back three times.$plain"
