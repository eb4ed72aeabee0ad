#!/bin/bash
# Installs the packages of tests/packages.txt that are missing.
#   install_packages.sh build|all
# Touches apt only when something is missing. Exit 0: all are there.
set -euo pipefail
list="$(dirname "${BASH_SOURCE[0]}")/../packages.txt"
case "${1:-all}" in
  build) wanted=$(sed -n '/^# build$/,/^# test$/p' "$list") ;;
  all) wanted=$(cat "$list") ;;
  *) echo "usage: install_packages.sh build|all" >&2; exit 64 ;;
esac
missing=()
while read -r package; do
  [[ -z $package || $package == \#* ]] && continue
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [[ $status == "install ok installed" ]] || missing+=("$package")
done <<<"$wanted"
((${#missing[@]} == 0)) && exit 0

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || {
    echo "These packages are missing and neither root nor sudo is at hand: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -o DPkg::Lock::Timeout=550 -q update
"${as_root[@]}" apt-get -o DPkg::Lock::Timeout=550 -q install -y --no-install-recommends "${missing[@]}"
