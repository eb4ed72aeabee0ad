#!/bin/bash
# Builds the Debian package of a finished release build, looks into it, installs it where that is
# possible (root, and none is installed yet), uses it and removes it again.
#   package.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
work=$(mktemp -d)
installed=no
cleanup() {
  [[ $installed == no ]] || dpkg -r remediate >/dev/null
  rm -rf "$work"
}
trap cleanup EXIT
fail() {
  echo "package: $*" >&2
  exit 1
}

cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work/out" >"$work/log" 2>&1 ||
  { cat "$work/log"; fail "cpack failed"; }
mapfile -t packages < <(find "$work/out" -maxdepth 1 -name '*.deb' | sort)
((${#packages[@]} == 2)) || fail "${#packages[@]} packages were built"
probe=$(find "$work/out" -maxdepth 1 -name 'remediate-probe_*.deb')
deb=$(find "$work/out" -maxdepth 1 -name 'remediate_*.deb')
[[ -n $probe && -n $deb ]] || fail "not the two packages: ${packages[*]}"
depends=$(dpkg-deb -f "$deb" Depends)
echo "$(basename "$deb"), $(stat -c %s "$deb") bytes, depends on: $depends"
[[ $depends == libc6* ]] || fail "unexpected dependencies: $depends"
[[ $depends != *,* ]] || fail "more than the C library is needed: $depends"

probe_depends=$(dpkg-deb -f "$probe" Depends)
echo "$(basename "$probe"), $(stat -c %s "$probe") bytes, depends on: $probe_depends"
[[ $probe_depends == *libcpprest* ]] || fail "the probe does not name its library: $probe_depends"
[[ $(dpkg-deb -c "$probe" | awk '$1 ~ /^-/ {print $6}') == ./usr/libexec/remediate/remediate-probe ]] ||
  fail "the probe's package holds other files"

listing=$(dpkg-deb -c "$deb" | awk '{print $6}')
for path in ./usr/bin/remediate ./usr/share/man/man1/remediate.1 ./usr/share/doc/remediate/copyright \
  ./usr/share/bash-completion/completions/remediate ./usr/share/remediate/playbooks/; do
  grep -qxF "$path" <<<"$listing" || fail "$path is not in the package"
done
grep -q '^\./usr/share/remediate/playbooks/[^/]*\.json$' <<<"$listing" || fail "no playbook in the package"
if grep -Ev '^\./(usr/((bin|share)/.*)?)?$' <<<"$listing"; then fail "it holds files elsewhere"; fi

dpkg-deb -x "$deb" "$work/tree"
use() { # use ROOT: the tool runs and accepts every playbook it comes with
  "$1/usr/bin/remediate" --version
  "$1/usr/bin/remediate" check "$1"/usr/share/remediate/playbooks/*.json >"$work/check" 2>&1 ||
    { cat "$work/check"; fail "a shipped playbook is not valid"; }
}
use "$work/tree"

if ((EUID == 0)) && ! dpkg-query -W remediate >/dev/null 2>&1 && [[ ! -e /usr/bin/remediate ]]; then
  dpkg -i "$deb" >/dev/null
  installed=yes
  use ""
  dpkg -r remediate >/dev/null
  installed=no
  [[ ! -e /usr/bin/remediate && ! -e /usr/share/remediate ]] || fail "removing it left files"
  echo "installed, used and removed"
else
  echo "used from the unpacked package; not installed (not root, or there is one already)"
fi
