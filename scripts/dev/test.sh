#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# ./dev test [SUITE] [--clang|--asan|--tsan|--valgrind]
set -euo pipefail

usage ()
{
  echo "usage: ./dev test [SUITE] [--clang|--asan|--tsan|--valgrind]" >&2
  exit 2
}

scripts=scripts/dev
kind=gcc
libraries=
suite=()
for word in "$@"; do
  case $word in
    --clang | --asan | --tsan | --valgrind)
      [ "$kind" = gcc ] || usage
      kind=${word#--}
      ;;
    -*) usage ;;
    *)
      [ ${#suite[@]} -eq 0 ] || usage
      suite=("$word")
      ;;
  esac
done

sets=(run test)
[ "$kind" = gcc ] || sets+=("$kind")
# Suites that need more, and are not part of a run without a name.
if [ "${suite[0]:-}" = page ]; then
  sets+=(page)
  # A Node that does not come from Debian brings its own npm.
  command -v npm > /dev/null || sets+=(npm)
fi
"$scripts/install.sh" "${sets[@]}"
[ "${suite[0]:-}" != page ] || /usr/bin/python3 "$scripts/npm.py" tests/page build/page
promtool=$("$scripts/promtool.sh")
export PATH=$PATH:$promtool

export CC=gcc
# GLib's own allocator would hide what a sanitizer looks for.
export G_SLICE=always-malloc
options=(--werror)
more=()
folder=test-$kind
sanitizer=(-Db_lundef=false -Dintrospection=disabled)
case $kind in
  clang)
    export CC=clang
    ;;
  asan)
    options+=("${sanitizer[@]}" '-Db_sanitize=address,undefined')
    more=(--timeout-multiplier 4)
    # The whole stack of each allocation, or no suppression could name whose it is.
    export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
    ASAN_OPTIONS+=:fast_unwind_on_malloc=0
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    export LSAN_OPTIONS=print_suppressions=0:suppressions=$PWD/$scripts/lsan.supp
    ;;
  tsan)
    glib=$("$scripts/glib-tsan.sh")
    options+=("${sanitizer[@]}" -Db_sanitize=thread)
    more=(--timeout-multiplier 6)
    # Only what links GLib itself: a packaged interpreter cannot load a library built so.
    [ ${#suite[@]} -gt 0 ] || suite=(unit fault postgresql)
    export PKG_CONFIG_PATH=$glib/lib/pkgconfig
    libraries=$glib/lib
    export TSAN_OPTIONS=second_deadlock_stack=1:suppressions=$PWD/$scripts/tsan.supp
    ;;
  valgrind)
    folder=test-gcc
    suppressions=/usr/share/glib-2.0/valgrind/glib.supp
    more=(--timeout-multiplier 20 --wrap
          "valgrind --quiet --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite
           --suppressions=$suppressions --suppressions=$PWD/$scripts/valgrind.supp")
    [ ${#suite[@]} -gt 0 ] || suite=(unit postgresql)
    ;;
esac

"$scripts/build.sh" "$folder" "${options[@]}"
for name in "${suite[@]}"; do
  more+=(--suite "$name")
done
[ -z "$libraries" ] || export LD_LIBRARY_PATH=$libraries
rm -f "build/$folder"/meson-logs/testlog*
# Most wait for servers and for time: with as many again the processors have something to do.
meson test -C "build/$folder" --no-rebuild --print-errorlogs --num-processes $((2 * $(nproc))) \
  "${more[@]}" < /dev/null || true
exec /usr/bin/python3 "$scripts/tap.py" "build/$folder/meson-logs" "$kind"
