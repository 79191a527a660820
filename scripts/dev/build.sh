#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# build.sh NAME [MESON OPTION...]: builds in build/NAME, and says something only when that fails.
set -euo pipefail

name=$1
shift
folder=build/$name
log=build/$name.log
options=("$@")
if [ "$name" = run ]; then
  options=(-Dtests=false -Dintrospection=disabled)
fi
mkdir -p build

fail ()
{
  grep -v '^\[[0-9]*/[0-9]*\]' "$log" | tail -n 60 >&2
  echo "derate: $1 failed" >&2
  exit 1
}

if [ ! -f "$folder/build.ninja" ]; then
  echo "derate: building in $folder" >&2
  rm -rf "$folder"
  meson setup "$folder" "${options[@]}" > "$log" 2>&1 < /dev/null || fail "meson setup $folder"
fi
ninja -C "$folder" > "$log" 2>&1 < /dev/null || fail "ninja -C $folder"
