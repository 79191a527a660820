#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed is enough to build a program and a plugin with, by pkg-config alone."""
import os
import pathlib
import re
import sys
import unittest

from stage import Stage
import taprunner

HERE = pathlib.Path(__file__).resolve().parent
BUILD = sys.argv[1]
COMPILER = sys.argv[2:]
CONFIG = "[derate]\nname=beach\n[service sea]\nplugin=tide\nuri={}\n"


class InstalledTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(BUILD, COMPILER)
        cls.top, cls.prefix = cls.stage.top, cls.stage.prefix
        cls.stage.compile(HERE / "plugin.c", "libderate-plugin-tide.so", "derate-1", "-shared",
                          "-fPIC")
        cls.stage.compile(HERE / "program.c", "program", "derate-1")

    @classmethod
    def tearDownClass(cls):
        cls.stage.cleanup()

    def start(self, uri):
        config = self.top / "beach.conf"
        config.write_text(CONFIG.format(uri))
        return self.stage.run(self.top / "program", config)

    def test_a_program_of_30_lines(self):
        self.assertLessEqual(len((HERE / "program.c").read_text().splitlines()), 30)
        done = self.start(self.top)
        self.assertEqual((done.returncode, done.stdout), (0, "level optimal\n"), done.stderr)

    def test_the_plugin_is_asked(self):
        done = self.start("/nowhere")
        self.assertEqual((done.returncode, done.stdout), (0, "level degraded\n"), done.stderr)
        self.assertIn("service sea: down (refused)", done.stderr)

    def test_check_plugin(self):
        done = self.stage.run(self.prefix / "bin/deratectl", "check-plugin",
                              self.top / "libderate-plugin-tide.so")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("tide", done.stdout)

    def test_installed_plugins(self):
        """Those that are installed, where the library looks and pkg-config says."""
        folder = pathlib.Path(self.stage.pkg_config("--variable=plugindir", "derate-1")[0])
        names = sorted(path.name for path in folder.iterdir())
        self.assertEqual(names, [f"libderate-plugin-{name}.so"
                                 for name in ("http", "openai", "postgresql", "redis", "s3", "tcp")])
        for name in names:
            done = self.stage.run(self.prefix / "bin/deratectl", "check-plugin", folder / name)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_python(self):
        """The overrides are where this Python finds them, were the stage its prefix."""
        folder = self.stage.python_folder
        if folder is None:
            self.assertEqual(list(self.prefix.rglob("Derate-1.typelib")), [])
            return
        real = "/" + str(folder.relative_to(self.top / "stage"))
        self.assertTrue(real in sys.path or not os.path.exists(real), real)
        done = self.stage.run_python("-c", "from gi.repository import Derate\n"
                                     "print(Derate.circuit_breaker('sea')(len)('tide'))")
        self.assertEqual((done.returncode, done.stdout), (0, "4\n"), done.stderr)

    def test_derated(self):
        """The host, and what systemd, the bus and man need of it."""
        config = self.top / "beach.conf"
        config.write_text(CONFIG.format("/nowhere"))
        done = self.stage.run(self.prefix / "bin/derated", "--check", "--config", config)
        self.assertEqual((done.returncode, done.stdout), (0, f"{config}: good; 1 services\n"),
                         done.stderr)
        for name in ("lib/systemd/system/derated@.service", "lib/sysusers.d/derate.conf",
                     "share/dbus-1/system.d/org.derate.conf", "share/man/man8/derated.8",
                     "share/doc/derate/examples/derated/example.conf"):
            self.assertTrue((self.prefix / name).is_file(), name)
        unit = (self.prefix / "lib/systemd/system/derated@.service").read_text()
        self.assertIn("bin/derated --config /", unit)

    def test_deratectl(self):
        """What the shells and man need of it, where they look."""
        for name in ("bin/deratectl", "share/man/man1/deratectl.1", "share/man/man5/derate.conf.5",
                     "share/bash-completion/completions/deratectl",
                     "share/zsh/site-functions/_deratectl",
                     "share/fish/vendor_completions.d/deratectl.fish"):
            self.assertTrue((self.prefix / name).is_file(), name)

    def test_what_prometheus_and_grafana_load(self):
        """The rules, each of which names a page that is there, too; the boards."""
        folder = self.prefix / "share/derate"
        rules = (folder / "prometheus/derate.rules.yml").read_text()
        pages = [f"runbooks/{path.name}" for path in (folder / "runbooks").iterdir()]
        self.assertEqual(sorted(pages), sorted(["runbooks/index.md", *re.findall(r"runbook: (\S+)", rules)]))
        boards = sorted(path.stem for path in (folder / "grafana").iterdir())
        self.assertEqual(boards, [f"derate-{name}" for name in ("breakers", "database", "fallbacks", "levels")])

    def test_dbusmock(self):
        """The template for tests of others."""
        folder = pathlib.Path(self.stage.pkg_config("--variable=dbusmockdir", "derate-1")[0])
        self.assertEqual([path.name for path in folder.iterdir()], ["derate.py"])

    def test_one_include_of_each_library(self):
        packages = sorted(path.stem for path in self.stage.pc.glob("derate-*.pc"))
        self.assertEqual(packages, ["derate-1", "derate-fallbacks-1", "derate-http-1",
                                    "derate-postgresql-1", "derate-redis-1"])
        for package in packages:
            header = package.removesuffix("-1")
            source = self.top / f"{header}.c"
            source.write_text(f"#include <{header}.h>\nint\nmain (void)\n{{\n  return 0;\n}}\n")
            self.stage.compile(source, header, package)
            self.assertEqual(self.stage.run(self.top / header).returncode, 0)

    def test_every_header_stands_alone(self):
        folder = self.prefix / "include/derate-1"
        flags = self.stage.pkg_config("--cflags", *sorted(path.stem for path in
                                                          self.stage.pc.glob("derate-*.pc")))
        source = self.top / "headers.c"
        for header in sorted(folder.iterdir()):
            self.assertNotIn("private", header.name)
            source.write_text(f"#include <{header.name}>\n")
            done = self.stage.check_syntax(source, *flags)
            self.assertEqual(done.returncode, 0, f"{header.name}: {done.stderr}")


if __name__ == "__main__":
    taprunner.main()
