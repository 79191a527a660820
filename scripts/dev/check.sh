#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# ./dev check [--fix]: format, lint and house rules.
set -euo pipefail

fix=()
case "$*" in
  '') ;;
  --fix) fix=(--fix) ;;
  *)
    echo "usage: ./dev check [--fix]" >&2
    exit 2
    ;;
esac
scripts/dev/install.sh run test check
exec /usr/bin/python3 scripts/dev/check.py "${fix[@]}"
