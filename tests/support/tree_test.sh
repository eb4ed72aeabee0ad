#!/bin/bash
# tree_test.sh SAMPLE_TREE TREE_MANIFEST: two sample trees are equal, reading one changes
# nothing, and each kind of planted change is seen by the manifest.
set -euo pipefail
sample_tree=$1 tree_manifest=$2
work=$(mktemp -d)
cleanup() {
  chattr -R -i -a "$work" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
failed=0
miss() {
  echo "not seen: $1"
  failed=1
}

"$sample_tree" "$work/a"
"$sample_tree" "$work/b" >/dev/null
"$tree_manifest" "$work/a" >"$work/first"
"$tree_manifest" "$work/b" >"$work/second"
cmp "$work/first" "$work/second" || miss "that two sample trees are the same"
"$tree_manifest" "$work/a" | cmp - "$work/first" || miss "that reading changes nothing"
(($(wc -l <"$work/first") > 2000)) || miss "the entries of the tree"
[[ $("$tree_manifest" "$work/a" --no-atime) != *" atime="* ]] || miss --no-atime

# planted NAME COMMAND...: the command runs in a small tree of its own and has to show.
planted() {
  local name=$1 folder=$work/planted
  shift
  chattr -R -i -a "$folder" 2>/dev/null || true
  rm -rf "$folder" && mkdir "$folder"
  (
    cd "$folder"
    printf 'content' >file
    printf 'content' >other
    ln other linked
    ln -s file link
    mkdir sub
    truncate -s 1M holes && printf x >>holes
    touch -d '2021-03-04 01:02:03.123456789' file other linked holes sub link .
  )
  "$tree_manifest" "$folder" --no-atime >"$work/before"
  if ! (cd "$folder" && "$@") 2>"$work/error"; then
    echo "skipped: $name: $(head -n1 "$work/error")"
    skipped=$((${skipped:-0} + 1))
    return
  fi
  "$tree_manifest" "$folder" --no-atime >"$work/after"
  chattr -R -i -a "$folder" 2>/dev/null || true
  if cmp -s "$work/before" "$work/after"; then miss "$name"; else seen=$((${seen:-0} + 1)); fi
}
same_times() { # runs a command that changes only what it is about
  "$@" && touch -d '2021-03-04 01:02:03.123456789' file other holes .
}
# First the opposite: no change has to give no difference.
before_failed=$failed
planted nothing same_times true >/dev/null
failed=$before_failed seen=0
cmp -s "$work/before" "$work/after" || miss "that nothing changed"

flip() { printf 'X' | dd of=file bs=1 seek=3 conv=notrunc status=none; }
fill() { dd if=/dev/zero of=holes bs=1M count=1 conv=notrunc status=none; }
unlink_pair() { rm linked && cp -p other linked && ln -f file linked2 && rm linked2; }
planted byte same_times flip
planted mode same_times chmod 600 file
planted set-id same_times chmod u+s file
planted mtime-second touch -d '2021-03-04 01:02:04.123456789' file
planted mtime-nanosecond touch -d '2021-03-04 01:02:03.123456788' file
planted xattr same_times setfattr -n user.a -v b file
planted access-list same_times setfacl -m u:1234:r file
planted hole-filled same_times fill
planted hard-link-broken same_times unlink_pair
planted size same_times truncate -s 8 file
planted new-file same_times touch -d '2021-03-04' new
planted renamed same_times mv file File
planted link-target same_times ln -sfn other link
planted folder-mode same_times chmod 700 sub
if ((EUID == 0)); then
  planted owner same_times chown 1234 file
  planted group same_times chgrp 1234 file
  planted immutable chattr +i other
  planted append-only chattr +a other
fi
echo "${seen:-0} planted changes seen, ${skipped:-0} skipped"
((${seen:-0} >= 12 && failed == 0))
