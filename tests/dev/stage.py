# SPDX-License-Identifier: LGPL-2.1-or-later
"""What would be installed, in a folder of its own, and programs built with it."""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

# As a user's own build would have it.
WARNINGS = ("-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror")


class Stage:
    """Installs the build into a temporary folder, and runs things there as a user would."""

    def __init__(self, build, compiler):
        self._folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        self.top = pathlib.Path(self._folder.name)
        self._compiler = compiler
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir",
                        self.top / "stage"], check=True, stdout=subprocess.DEVNULL)
        self.pc = next((self.top / "stage").rglob("derate-1.pc")).parent
        for path in self.pc.glob("derate-*.pc"):
            text = path.read_text()
            prefix = re.search("^prefix=(.*)$", text, re.MULTILINE).group(1)
            self.prefix = self.top / "stage" / prefix.lstrip("/")
            path.write_text(text.replace(f"prefix={prefix}\n", f"prefix={self.prefix}\n"))
        libraries = next(self.prefix.rglob("libderate-1.so")).parent
        self.environment = {**os.environ, "PKG_CONFIG_PATH": str(self.pc), "LC_ALL": "C.UTF-8",
                            "LD_LIBRARY_PATH": str(libraries), "DERATE_PLUGIN_PATH": str(self.top)}
        self._find_python()

    def _find_python(self):
        """The folder of the overrides, were the stage its prefix; None without introspection."""
        found = list((self.top / "stage").rglob("Derate.py"))
        self.python_folder = found[0].parents[2] if found else None
        if found:
            typelib = next(self.prefix.rglob("Derate-1.typelib"))
            self.environment.update(PYTHONPATH=str(self.python_folder),
                                    GI_TYPELIB_PATH=str(typelib.parent),
                                    PYTHONDONTWRITEBYTECODE="1")

    def cleanup(self):
        self._folder.cleanup()

    def run(self, *command):
        return subprocess.run(list(map(str, command)), env=self.environment, text=True,
                              cwd=self.top, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60)

    def run_python(self, *words):
        return self.run(sys.executable, *words)

    def pkg_config(self, *words):
        done = self.run("pkg-config", *words)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return shlex.split(done.stdout)

    def compile(self, source, target, package, *more):
        """As the README says: the compiler, and what pkg-config gives for one package."""
        done = self.run(*self._compiler, *WARNINGS, *more, source, "-o", self.top / target,
                        *self.pkg_config("--cflags", "--libs", package))
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    def check_syntax(self, source, *flags):
        return self.run(*self._compiler, *WARNINGS, "-fsyntax-only", source, *flags)
