# SPDX-License-Identifier: LGPL-2.1-or-later
"""The running stack: private servers, and the retail agent on top of them."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import checkout
from private_servers import process
from private_servers.process import Failed

HERE = pathlib.Path(__file__).resolve().parent
AGENT = checkout.ROOT / "examples" / "retail-agent"
URI_VARIABLES = {"postgresql": "PG_URI", "redis": "REDIS_URI", "s3": "S3_URI",
                 "openai": "OPENAI_URI"}


class Ended(BaseException):
    """Somebody asked for the end."""


def end_on_signals():
    def ended(_number, _frame):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise Ended
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended)


def fetch(url, timeout=2):
    """Gives (status, body) of a GET; (0, b"") when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


class Servers:
    """servers.py as a child: it ends when its standard input does, that is, with this process."""

    def __init__(self, scratch):
        self.uris = {}
        self.child = subprocess.Popen(
            ["/usr/bin/python3", str(HERE / "servers.py"), "serve", "--control",
             "--scratch", str(scratch)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        for line in self.child.stdout:
            words = line.split()
            if words == ["ready"]:
                return
            self.uris[words[0]] = words[2]
        raise Failed("the servers did not start")

    def ask(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline().strip()
        if not answer.startswith("ok "):
            raise Failed(f"{command}: {answer}")
        return answer

    def end(self):
        self.child.stdin.close()
        self.child.wait()


class Stack:
    """Everything that `./dev run` starts. `overrides` are lines of configuration."""

    def __init__(self, scratch, port, overrides="", log_to_file=False, agent_words=()):
        self.scratch = scratch
        self.folder = scratch / "agent"
        self.port = port
        self.overrides = overrides
        self.log_to_file = log_to_file
        self.agent_words = agent_words
        self.log = None
        self.url = f"http://127.0.0.1:{port}"
        self.agent = None
        self.servers = None

    @property
    def bus(self):
        return self.servers.uris["dbus"]

    def configure(self):
        """The configuration as it is shipped, with more lines in a file of its .d folder."""
        self.folder.mkdir(exist_ok=True)
        self.config = self.folder / "retail-agent.conf"
        more = self.folder / "retail-agent.conf.d"
        shutil.copy(AGENT / "retail-agent.conf", self.config)
        shutil.copy(AGENT / "statements.conf", self.folder)
        shutil.rmtree(more, ignore_errors=True)
        if self.overrides:
            more.mkdir()
            (more / "overrides.conf").write_text(self.overrides, encoding="utf-8")

    def start_servers(self):
        """The servers make the scratch folder, and remove it however this process ends."""
        self.servers = Servers(self.scratch)
        psql = subprocess.run(
            ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file",
             str(AGENT / "schema.sql"), self.servers.uris["postgresql"]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if psql.returncode != 0:
            raise Failed(f"schema.sql: {psql.stderr.strip()}")

    def agent_environment(self):
        variables = {variable: self.servers.uris[name] for name, variable in URI_VARIABLES.items()}
        keys = (self.scratch / "environment").read_text(encoding="utf-8").splitlines()
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        return {**os.environ, **dict(key.split("=", 1) for key in keys), **variables,
                "DERATE_PLUGIN_PATH": checkout.plugin_path(), "STATE_DIRECTORY": str(state)}

    def start_agent(self):
        self.configure()
        if self.log_to_file and self.log is None:
            self.log = open(self.folder / "log", "wb")
        program = checkout.BUILD / "examples" / "retail-agent" / "retail-agent"
        self.agent = subprocess.Popen(
            [str(program), "--config", str(self.config), "--port", str(self.port),
             "--bus", self.bus, *self.agent_words],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=self.agent_environment(), start_new_session=True,
            preexec_fn=process.die_with_parent())
        process.wait_until(self.agent_ready, 30, "the retail agent's readiness")

    def agent_ready(self):
        if self.agent.poll() is not None:
            raise Failed(f"the retail agent ended at once ({self.agent.returncode})")
        return fetch(self.url + "/health/ready")[0] == 200

    def stop_agent(self):
        """Gives its exit status."""
        if self.agent is None:
            return 0
        self.agent.terminate()
        try:
            return self.agent.wait(10)
        except subprocess.TimeoutExpired:
            self.agent.kill()
            self.agent.wait()
            print("derate: the retail agent did not end by itself", file=sys.stderr)
            return 1

    def end(self):
        self.stop_agent()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.servers is not None:
            self.servers.end()

    def state(self):
        return {"url": self.url, "bus": self.bus, "control": self.servers.uris["control"],
                "agent": self.agent.pid, "config": str(self.config), "uris": self.servers.uris}
