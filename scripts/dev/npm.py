#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""npm.py SOURCE TARGET: what SOURCE/package.json names, installed in TARGET unless it is there."""
import pathlib
import shutil
import subprocess
import sys

INSTALL = ("npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund",
           "--no-update-notifier")


def install(source, target):
    """Gives TARGET; None, having said why, when npm fails."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = (source / "package.json").read_bytes()
    package = target / "package.json"
    modules = target / "node_modules"
    if modules.is_dir() and package.read_bytes() == wanted:
        return target
    shutil.rmtree(modules, ignore_errors=True)
    package.write_bytes(wanted)
    done = subprocess.run(INSTALL, cwd=target, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return target
    shutil.rmtree(modules, ignore_errors=True)
    print(f"derate: npm failed for {source}:\n{done.stderr}", file=sys.stderr)
    return None


if __name__ == "__main__":
    sys.exit(0 if install(*map(pathlib.Path, sys.argv[1:])) else 1)
