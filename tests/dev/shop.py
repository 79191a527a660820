# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private PostgreSQL with the retail agent's shop in it."""
import pathlib
import subprocess
import tempfile
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Shop:
    """Ends with this process, however that ends."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        self.child = subprocess.Popen(
            ["/usr/bin/python3", ROOT / "scripts/dev/servers.py", "serve", "--scratch",
             pathlib.Path(self.folder.name) / "scratch", "postgresql"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        for line in self.child.stdout:
            words = line.split()
            if words == ["ready"]:
                break
            self.uri = words[2]
        else:
            raise AssertionError("no private PostgreSQL")
        subprocess.run(["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file",
                        ROOT / "examples/retail-agent/schema.sql", self.uri], check=True,
                       stdin=subprocess.DEVNULL)

    def environment(self):
        """What libpq takes for a URI that says no more than `postgresql:///shop`."""
        said = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.uri).query))
        return {"PGHOST": said["host"], "PGPORT": said["port"], "PGUSER": said["user"],
                "PGSSLMODE": said["sslmode"]}

    def end(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()
        self.folder.cleanup()
