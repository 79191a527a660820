#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Prints the folder of promtool, which checks what Prometheus would read, and of prometheus. Their
# package is unpacked in the cache, not installed: installing it would start a Prometheus of the
# system's.
set -euo pipefail

if found=$(command -v promtool) && command -v prometheus > /dev/null; then
  dirname "$found"
  exit 0
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/derate
folder=$cache/prometheus/usr/bin
if [ ! -x "$folder/promtool" ] || [ ! -x "$folder/prometheus" ]; then
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/promtool.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  {
    apt-get -o "APT::Sandbox::User=$(id -un)" download prometheus ||
      { apt-get update && apt-get -o "APT::Sandbox::User=$(id -un)" download prometheus; }
    dpkg-deb --extract prometheus_*.deb root
  } > log 2>&1 < /dev/null || {
    cat log >&2
    echo "derate: no promtool: the package prometheus cannot be had" >&2
    exit 1
  }
  rm -rf "$cache/prometheus"
  mv root "$cache/prometheus"
fi
echo "$folder"
