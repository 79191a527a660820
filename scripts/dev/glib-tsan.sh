#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Prints the prefix of a GLib built with ThreadSanitizer from Debian's source package, and builds it
# first where it is not in the cache. On the packaged GLib the sanitizer sees neither side of a
# GMutex or a GTask, and reports every use of one. GLib is told to use POSIX mutexes, which the
# sanitizer knows best: it then also finds mutexes taken in two orders.
set -euo pipefail

version=$(dpkg-query -W -f='${source:Version}' libglib2.0-dev)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/derate
prefix=$cache/glib-$version-tsan-$(gcc -dumpversion)
if [ -f "$prefix/lib/pkgconfig/gio-2.0.pc" ]; then
  echo "$prefix"
  exit 0
fi

echo "derate: building GLib $version with ThreadSanitizer, once, in $cache" >&2
mkdir -p "$cache"
work=$(mktemp -d "$cache/glib-tsan.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# The machine's own sources of packages, as sources of source packages.
mkdir -p sources lists/partial
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ -f "$file" ] || continue
  case $file in
    *.list) sed -n 's/^deb /deb-src /p' "$file" > "sources/$(basename "$file")" ;;
    *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" > "sources/$(basename "$file")" ;;
  esac
done
apt=(apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/sources"
     -o "Dir::State::lists=$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
     -o "APT::Sandbox::User=$(id -un)")

{
  # Other sources than Debian's may have no source packages: the one needed will be missed below.
  "${apt[@]}" update || true
  "${apt[@]}" source --download-only "glib2.0=$version"
  dpkg-source --extract ./*.dsc source
  meson setup build source --prefix="$prefix" --libdir=lib --buildtype=debugoptimized \
    -Db_sanitize=thread -Db_lundef=false -Dforce_posix_threads=true -Dglib_debug=disabled \
    -Dtests=false -Dinstalled_tests=false -Dman=false -Dgtk_doc=false -Dnls=disabled \
    -Dselinux=disabled -Dlibmount=disabled -Dlibelf=disabled -Dc_args=-fno-omit-frame-pointer
  ninja -C build
  rm -rf "$prefix"
  meson install -C build --destdir "$work/root"
} > log 2>&1 < /dev/null || {
  tail -n 40 log >&2
  echo "derate: building GLib failed" >&2
  exit 1
}
mv "$work/root$prefix" "$prefix"
echo "$prefix"
