# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private Prometheus that looks at one program every second, and evaluates rules as often."""
import json
import urllib.parse
import urllib.request

from . import port, process
from .server import START_SECONDS, Server, find_program

# What Go makes of the machine's processors would be too much for one second of one program.
PROCESSORS = "1"


class Prometheus(Server):
    """`target` is a host and port; `rules` are files."""

    name = "prometheus"
    usual = False

    def __init__(self, scratch, runtime, target, rules):
        super().__init__(scratch, runtime)
        self.port = port.take()
        self.target = target
        self.rules = rules

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port.number}"

    @property
    def config(self):
        return self.folder / "prometheus.json"

    def prepare(self):
        """JSON is YAML."""
        self.config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in self.rules],
            "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [self.target]}]}],
        }), encoding="utf-8")

    def environment(self):
        return {**super().environment(), "GOMAXPROCS": PROCESSORS}

    def command(self):
        return [find_program("prometheus"), f"--config.file={self.config}",
                f"--storage.tsdb.path={self.folder / 'data'}", "--log.level=warn",
                f"--web.listen-address=127.0.0.1:{self.port.number}"]

    def answers(self):
        self.must_live()
        return port.answers(self.port.number, b"GET /-/ready HTTP/1.0\r\n\r\n", b"HTTP/1.0 200")

    def wait_ready(self):
        process.wait_until(self.answers, START_SECONDS, self.name)

    def ask(self, path, **parameters):
        """What its API answers."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.uri}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]
