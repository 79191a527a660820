#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# ./dev bench NAME [--tsv]: one program of tests/bench, its instructions, and its peers.
set -euo pipefail

scripts=scripts/dev
name=
tsv=()
for word in "$@"; do
  case $word in
    --tsv) tsv=(--tsv) ;;
    *)
      [ -z "$name" ] && [ -f "tests/bench/bench-$word.c" ] && [ "$word" != floors ] || name='?'
      [ "$name" = '?' ] || name=$word
      ;;
  esac
done
if [ -z "$name" ] || [ "$name" = '?' ]; then
  echo "usage: ./dev bench NAME [--tsv]" >&2
  names=$(cd tests/bench && printf '%s\n' bench-*.c | sed -n '/floors/d; s/bench-\(.*\)\.c/\1/p')
  # shellcheck disable=SC2086  # one line of them
  echo "names:" $names >&2
  exit 2
fi

"$scripts/install.sh" run bench
# A Node that does not come from Debian brings its own npm.
[ ! -f "tests/bench/peers/$name.go" ] || "$scripts/install.sh" pools
[ ! -f "tests/bench/peers/$name.mjs" ] || command -v npm > /dev/null || "$scripts/install.sh" npm
export CC=gcc
"$scripts/build.sh" bench -Dbench=true -Dtests=false -Dexamples=false -Dintrospection=disabled
exec /usr/bin/python3 "$scripts/bench.py" "$name" "${tsv[@]}"
