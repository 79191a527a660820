#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed is enough to build a program and a plugin with, by pkg-config alone."""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import taprunner

HERE = pathlib.Path(__file__).resolve().parent
BUILD = sys.argv[1]
COMPILER = sys.argv[2:]
CONFIG = "[derate]\nname=beach\n[service sea]\nplugin=tide\nuri={}\n"


class InstalledTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        cls.top = pathlib.Path(cls.folder.name)
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir",
                        cls.top / "stage"], check=True, stdout=subprocess.DEVNULL)
        cls.pc = next((cls.top / "stage").rglob("derate-1.pc")).parent
        for path in cls.pc.glob("derate-*.pc"):
            text = path.read_text()
            prefix = re.search("^prefix=(.*)$", text, re.MULTILINE).group(1)
            cls.prefix = cls.top / "stage" / prefix.lstrip("/")
            path.write_text(text.replace(f"prefix={prefix}\n", f"prefix={cls.prefix}\n"))
        libraries = next(cls.prefix.rglob("libderate-1.so")).parent
        cls.environment = {**os.environ, "PKG_CONFIG_PATH": str(cls.pc),
                           "LD_LIBRARY_PATH": str(libraries),
                           "DERATE_PLUGIN_PATH": str(cls.top)}
        cls.compile(HERE / "plugin.c", "libderate-plugin-tide.so", "derate-1", "-shared", "-fPIC")
        cls.compile(HERE / "program.c", "program", "derate-1")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def run_here(cls, *command):
        return subprocess.run(list(map(str, command)), env=cls.environment, text=True, cwd=cls.top,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    @classmethod
    def pkg_config(cls, *words):
        done = cls.run_here("pkg-config", *words)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return shlex.split(done.stdout)

    @classmethod
    def compile(cls, source, target, package, *more):
        """As the README says: the compiler, and what pkg-config gives for one package."""
        done = cls.run_here(*COMPILER, "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
                            *more, source, "-o", cls.top / target,
                            *cls.pkg_config("--cflags", "--libs", package))
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    def start(self, uri):
        config = self.top / "beach.conf"
        config.write_text(CONFIG.format(uri))
        return self.run_here(self.top / "program", config)

    def test_a_program_of_30_lines(self):
        self.assertLessEqual(len((HERE / "program.c").read_text().splitlines()), 30)
        done = self.start(self.top)
        self.assertEqual((done.returncode, done.stdout), (0, "level optimal\n"), done.stderr)

    def test_the_plugin_is_asked(self):
        done = self.start("/nowhere")
        self.assertEqual((done.returncode, done.stdout), (0, "level degraded\n"), done.stderr)
        self.assertIn("service sea: down (refused)", done.stderr)

    def test_check_plugin(self):
        done = self.run_here(self.prefix / "bin/deratectl", "check-plugin",
                             self.top / "libderate-plugin-tide.so")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("tide", done.stdout)

    def test_installed_plugins(self):
        """Those that are installed, where the library looks and pkg-config says."""
        folder = pathlib.Path(self.pkg_config("--variable=plugindir", "derate-1")[0])
        names = sorted(path.name for path in folder.iterdir())
        self.assertEqual(names, [f"libderate-plugin-{name}.so"
                                 for name in ("http", "openai", "postgresql", "redis", "s3", "tcp")])
        for name in names:
            done = self.run_here(self.prefix / "bin/deratectl", "check-plugin", folder / name)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_python(self):
        """The overrides are where this Python finds them, were the stage its prefix."""
        found = list((self.top / "stage").rglob("Derate.py"))
        if not list(self.prefix.rglob("Derate-1.typelib")):
            self.assertEqual(found, [])
            return
        folder = found[0].parents[2]
        real = "/" + str(folder.relative_to(self.top / "stage"))
        self.assertTrue(real in sys.path or not os.path.exists(real), real)
        environment = {**self.environment, "PYTHONPATH": str(folder),
                       "PYTHONDONTWRITEBYTECODE": "1", "GI_TYPELIB_PATH":
                       str(next(self.prefix.rglob("Derate-1.typelib")).parent)}
        done = subprocess.run([sys.executable, "-c", "from gi.repository import Derate\n"
                               "print(Derate.circuit_breaker('sea')(len)('tide'))"],
                              env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, "4\n"), done.stderr)

    def test_one_include_of_each_library(self):
        packages = sorted(path.stem for path in self.pc.glob("derate-*.pc"))
        self.assertEqual(packages, ["derate-1", "derate-fallbacks-1", "derate-http-1",
                                    "derate-postgresql-1", "derate-redis-1"])
        for package in packages:
            header = package.removesuffix("-1")
            source = self.top / f"{header}.c"
            source.write_text(f"#include <{header}.h>\nint\nmain (void)\n{{\n  return 0;\n}}\n")
            self.compile(source, header, package)
            self.assertEqual(self.run_here(self.top / header).returncode, 0)

    def test_every_header_stands_alone(self):
        folder = self.prefix / "include/derate-1"
        flags = self.pkg_config("--cflags", *sorted(path.stem for path in
                                                    self.pc.glob("derate-*.pc")))
        source = self.top / "headers.c"
        for header in sorted(folder.iterdir()):
            self.assertNotIn("private", header.name)
            source.write_text(f"#include <{header.name}>\n")
            done = self.run_here(*COMPILER, "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
                                 "-fsyntax-only", source, *flags)
            self.assertEqual(done.returncode, 0, f"{header.name}: {done.stderr}")


if __name__ == "__main__":
    taprunner.main()
