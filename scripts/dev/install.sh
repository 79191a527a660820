#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# install.sh SET...: installs what is missing of those sets. Every package that Derate's development
# needs stands here, and nowhere else.
set -euo pipefail

# shellcheck disable=SC2034  # each is read by its name
{
run=(build-essential meson ninja-build pkg-config python3
     libglib2.0-dev libsoup-3.0-dev libjson-glib-dev libpq-dev libhiredis-dev
     postgresql postgresql-client redis-tools dbus-daemon libglib2.0-bin ca-certificates)
test=(spin gobject-introspection libgirepository1.0-dev python3-gi python3-dbusmock dbus
      python3-yaml python3-pyte python3-prometheus-client apache2-bin openssl locales
      zsh fish groff-base uidmap)
clang=(clang)
asan=()
tsan=(dpkg-dev libffi-dev libpcre2-dev zlib1g-dev xz-utils)
valgrind=(valgrind libc6-dbg)
check=(clang-format-14 shellcheck cppcheck)
bench=(valgrind libc6-dbg prometheus-cpp-dev)
pools=(golang-go golang-github-jackc-pgx-v4-dev python3-psycopg python3-psycopg-pool)
page=(chromium fonts-dejavu-core)
npm=(nodejs npm)
}

wanted=()
for set in "$@"; do
  declare -n packages=$set
  wanted+=("${packages[@]}")
done

missing=()
# It fails when it does not know one of them, and tells of the others all the same.
known=$(dpkg-query -W -f='${db:Status-Status}:${Package}\n' "${wanted[@]}" 2> /dev/null || true)
installed=" $(sed -n 's/^installed://p' <<< "$known" | tr '\n' ' ') "
for package in "${wanted[@]}"; do
  [[ $installed == *" $package "* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install=(apt-get install --yes --no-install-recommends)
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo > /dev/null || ! sudo -v; then
    echo "derate: these packages are missing; as root:" >&2
    echo "  apt-get update && ${install[*]} ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

quietly ()
{
  local log
  log=$(mktemp)
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" > "$log" 2>&1 < /dev/null || {
    cat "$log" >&2
    rm -f "$log"
    echo "derate: failed: $*" >&2
    exit 1
  }
  rm -f "$log"
}

# PostgreSQL's package makes a cluster of the system's and starts it, unless it is told not to.
cluster_conf=/etc/postgresql-common/createcluster.conf
cluster_line='create_main_cluster = false  # while ./dev installs'

forbid_cluster ()
{
  quietly "${install[@]}" postgresql-common
  "${as_root[@]}" tee -a "$cluster_conf" <<< "$cluster_line" > /dev/null
  trap allow_cluster EXIT
}

allow_cluster ()
{
  "${as_root[@]}" sed -i '/# while .\/dev installs$/d' "$cluster_conf"
}

echo "derate: installing ${missing[*]}" >&2
quietly apt-get update
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
  forbid_cluster
fi
quietly "${install[@]}" "${missing[@]}"
