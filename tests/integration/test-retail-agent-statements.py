#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A catalogue of statements with a mistake keeps the retail agent from starting, and is named."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import checkout
import taprunner

checkout.BUILD = pathlib.Path(sys.argv[1])
AGENT = checkout.BUILD / "examples" / "retail-agent" / "retail-agent"
CONFIG = checkout.ROOT / "examples" / "retail-agent" / "retail-agent.conf"
READ = "[statement s]\naccess=read\n"

# What is in the file, and what the error says behind the file's name.
MISTAKES = (
    ("what is this", ": a line is neither [statement NAME] nor key=value below one"),
    ("sql=SELECT 1", ": a line is neither [statement NAME] nor key=value below one"),
    ("[service s]", ": a line is neither [statement NAME] nor key=value below one"),
    (READ + "sql", ", [statement s]: a line is neither [statement NAME] nor key=value below one"),
    ("  sql=SELECT 1", ": a line goes on with nothing"),
    (READ + "sql=SELECT\n# why\n  1", ", [statement s]: a line goes on with nothing"),
    ("[statement ]", ", : a statement's name has letters, digits, “-” and “_” only"),
    ("[statement S]", ", S: a statement's name has letters, digits, “-” and “_” only"),
    (READ + "sql=SELECT 1\n" + READ, ", s: a statement of that name is there already"),
    (READ + "sql=SELECT 1\nsql=SELECT 2", ", [statement s], sql: the key is given twice"),
    (READ + "text=SELECT 1", ", [statement s], text: no such key"),
    (READ, ", [statement s], sql: the key is missing"),
    ("[statement s]\nsql=SELECT 1\n" + READ.replace("s]", "t]"),
     ", [statement s], access: the key is missing"),
    (READ + "sql=", ", [statement s], sql: there is nothing behind the “=”"),
    ("[statement s]\naccess=all", ", [statement s], access: “all” is neither read nor write"),
    (READ + "parameters=id", ", [statement s], parameters: “id” is not NAME:TYPE, where a type is "),
    (READ + "parameters=id:", ", [statement s], parameters: “id:” is not NAME:TYPE"),
    (READ + "parameters=:text", ", [statement s], parameters: “:text” is not NAME:TYPE"),
    (READ + "parameters=a:text b:int", ", [statement s], parameters: “b:int” is not NAME:TYPE"),
    (READ + "parameters=a:text??", ", [statement s], parameters: “a:text??” is not NAME:TYPE"),
    (READ + "parameters=A:text", ", [statement s], parameters: “A:text” is not NAME:TYPE"),
    (READ + "parameters=a:text a:integer",
     ", [statement s], parameters: the name of “a:integer” is taken"),
    (READ + "parameters=query:text",
     ", [statement s], parameters: the name of “query:text” is taken"),
    (READ + "sql=SELECT $1", ", [statement s], sql: it uses $1 and has 0 parameters"),
    (READ + "parameters=a:text b:text\nsql=SELECT $1",
     ", [statement s], sql: it does not use $2 and has 2 parameters"),
    (READ + "parameters=a:text\nsql=SELECT $1, $99999999999999999999",
     ", [statement s], sql: it uses $4294967295 and has 1 parameters"),
    (b"\xff", ": it is not UTF-8"),
    (b"a\0b", ": it is not UTF-8"),
)


class StatementsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        self.file = pathlib.Path(self.folder.name) / "some.conf"

    def tearDown(self):
        self.folder.cleanup()

    def refused(self, *words):
        done = subprocess.run([AGENT, "--config", CONFIG, "--port", "0", *words], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                              env={**os.environ, "DERATE_PLUGIN_PATH": checkout.plugin_path(),
                                   "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"})
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        return done.stderr

    def test_mistakes(self):
        for text, said in MISTAKES:
            self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
            self.assertIn(f"retail-agent: file {self.file}{said}",
                          self.refused("--statements", self.file), text)

    def test_no_file(self):
        self.assertIn(str(self.file), self.refused("--statements", self.file))
        config = pathlib.Path(self.folder.name) / "retail-agent.conf"
        config.write_text(CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
        self.assertIn(f"{self.folder.name}/statements.conf", self.refused("--config", config))


if __name__ == "__main__":
    taprunner.main()
