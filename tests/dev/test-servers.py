#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The private servers: they answer, stop, freeze and thaw, and leave nothing behind."""
import os
import pathlib
import select
import signal
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

import taprunner
from private_servers import process

SERVERS = pathlib.Path(process.__file__).resolve().parents[1] / "servers.py"
ALL = ("postgresql", "redis", "s3", "openai", "dbus")


class Run:
    """servers.py in a scratch folder."""

    def __init__(self, scratch, *names):
        self.child = subprocess.Popen(
            ["/usr/bin/python3", str(SERVERS), "serve", "--scratch", str(scratch), *names],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.uris = {}
        for line in self.child.stdout:
            if line == "ready\n":
                break
            name, word, uri = line.split()
            assert word == "ready"
            self.uris[name] = uri

    def ask(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def port(self, name):
        return int(self.uris[name].split("127.0.0.1:")[1].split("/")[0].split("&")[0])

    def end(self):
        if self.child.poll() is None:
            self.child.stdin.close()
            self.child.wait(60)
        self.child.stdout.close()


def ping(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
        peer.sendall(b"PING\r\n")
        return peer.recv(64)


def get(url, key):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status


def psql(uri, command):
    return subprocess.run(["psql", "-XAtc", command, uri], capture_output=True, text=True,
                          timeout=30)


class ServersTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        self.addCleanup(self.folder.cleanup)
        self.scratch = pathlib.Path(self.folder.name) / "scratch"

    def run_servers(self, *names, scratch=None):
        run = Run(scratch or self.scratch, *names)
        self.addCleanup(run.end)
        return run

    def family_handles(self, run):
        """Handles that become readable when a process ends, whoever its parent then is."""
        handles = [os.pidfd_open(pid) for pid in process.family(run.child.pid)]
        for handle in handles:
            self.addCleanup(os.close, handle)
        return handles

    def assert_gone(self, run, handles):
        runtime = run.uris["dbus"].removeprefix("unix:path=").rpartition("/")[0]
        run.child.wait(60)
        for handle in handles:
            self.assertTrue(select.select([handle], [], [], 60)[0], "a process is left behind")
        process.wait_until(lambda: not self.scratch.exists() and not os.path.exists(runtime), 60,
                           "removing the folders")

    def test_all_answer(self):
        run = self.run_servers()
        self.assertEqual(set(run.uris), set(ALL))
        keys = dict(line.split("=", 1)
                    for line in (self.scratch / "environment").read_text().splitlines())
        self.assertEqual(ping(run.port("redis")), b"+PONG\r\n")
        self.assertEqual(get(run.uris["openai"] + "/models", keys["OPENAI_API_KEY"]), 200)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            get(f"http://127.0.0.1:{run.port('s3')}/uploads", "no signature")
        self.assertEqual(refused.exception.code, 400)
        refused.exception.close()
        self.assertEqual(psql(run.uris["postgresql"], "select current_database()").stdout, "shop\n")
        with socket.socket(socket.AF_UNIX) as bus:
            bus.connect(run.uris["dbus"].removeprefix("unix:path="))

    def test_stop_refuses_and_start_keeps_the_port(self):
        run = self.run_servers("postgresql", "redis", "openai")
        for name in ("postgresql", "redis", "openai"):
            self.assertEqual(run.ask(f"stop {name}"), f"ok {name} stopped")
            self.assertEqual(run.ask(f"status {name}"), f"ok {name} stopped")
        for name in ("redis", "openai"):
            with self.assertRaises(ConnectionRefusedError):
                ping(run.port(name))
        self.assertNotEqual(psql(run.uris["postgresql"], "select 1").returncode, 0)
        for name in ("postgresql", "redis", "openai"):
            self.assertEqual(run.ask(f"start {name}"), f"ok {name} running {run.uris[name]}")
        self.assertEqual(ping(run.port("redis")), b"+PONG\r\n")
        self.assertEqual(psql(run.uris["postgresql"], "select 1").stdout, "1\n")

    def test_freeze_takes_the_whole_family(self):
        run = self.run_servers("postgresql")
        client = subprocess.Popen(["psql", "-XAt", run.uris["postgresql"]], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        client.stdin.write("select 'session';\n")
        client.stdin.flush()
        self.assertEqual(client.stdout.readline(), "session\n")
        self.assertEqual(run.ask("freeze postgresql"), "ok postgresql frozen")
        server = [pid for pid in process.family(run.child.pid)
                  if pathlib.Path(f"/proc/{pid}/comm").read_text() == "postgres\n"]
        self.assertGreater(len(server), 4)
        self.assertEqual({process.read_stat(pid)[1] for pid in server}, {"T"})
        client.stdin.write("select 'thawed';\n")
        client.stdin.flush()
        self.assertEqual(select.select([client.stdout], [], [], 0.2)[0], [])
        self.assertEqual(run.ask("status postgresql"), "ok postgresql frozen")
        self.assertEqual(run.ask("thaw postgresql"), "ok postgresql running")
        self.assertEqual(client.stdout.readline(), "thawed\n")
        client.communicate()

    def test_a_standby_follows_and_is_promoted(self):
        run = self.run_servers("postgresql", "standby")
        primary, standby = run.uris["postgresql"], run.uris["standby"]
        self.assertEqual(psql(primary, "create table t as select 7 as n").returncode, 0)
        process.wait_until(lambda: psql(standby, "select n from t").stdout == "7\n", 60, "streaming")
        self.assertIn("read-only transaction", psql(standby, "insert into t values (8)").stderr)
        self.assertEqual(run.ask("promote postgresql"), "error postgresql is no standby")
        self.assertEqual(run.ask("freeze standby"), "ok standby frozen")
        self.assertEqual(run.ask("thaw standby"), "ok standby running")
        self.assertEqual(run.ask("stop postgresql"), "ok postgresql stopped")
        self.assertEqual(psql(standby, "select n from t").stdout, "7\n")
        self.assertEqual(run.ask("promote standby"), f"ok standby promoted {standby}")
        self.assertEqual(psql(standby, "insert into t values (8)").stdout, "INSERT 0 1\n")
        self.assertEqual(run.ask("stop standby"), "ok standby stopped")
        self.assertEqual(run.ask("start standby"), f"ok standby running {standby}")
        self.assertEqual(psql(standby, "select pg_is_in_recovery()").stdout, "f\n")

    def test_a_standby_needs_whom_it_follows(self):
        done = subprocess.run(["/usr/bin/python3", str(SERVERS), "serve", "--scratch",
                               str(self.scratch), "standby"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=30)
        self.assertEqual(done.returncode, 2)
        self.assertIn("standby follows postgresql, which is not named", done.stderr)

    def test_stop_ends_a_frozen_one(self):
        run = self.run_servers("postgresql", "redis")
        for name in ("postgresql", "redis"):
            run.ask(f"freeze {name}")
            self.assertEqual(run.ask(f"stop {name}"), f"ok {name} stopped")
            self.assertEqual(run.ask(f"freeze {name}"), f"error {name} is not running")
            self.assertEqual(run.ask(f"start {name}"), f"ok {name} running {run.uris[name]}")

    def frozen_run(self):
        run = self.run_servers()
        run.ask("freeze postgresql")
        run.ask("freeze redis")
        run.ask("freeze openai")
        return run, self.family_handles(run)

    def test_kill_of_the_first_process_leaves_nothing(self):
        run, handles = self.frozen_run()
        run.child.kill()
        self.assert_gone(run, handles)

    def test_kill_of_the_second_process_leaves_nothing(self):
        run, handles = self.frozen_run()
        process.send(process.family(run.child.pid)[1], signal.SIGKILL)
        self.assert_gone(run, handles)
        self.assertNotEqual(run.child.returncode, 0)

    def test_end_of_input_leaves_nothing(self):
        run, handles = self.frozen_run()
        run.child.stdin.close()
        self.assert_gone(run, handles)
        self.assertEqual(run.child.returncode, 0)

    def test_signals_leave_nothing(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number=number):
                run = self.run_servers("redis", "dbus")
                handles = self.family_handles(run)
                run.child.send_signal(number)
                self.assert_gone(run, handles)
                self.assertEqual(run.child.returncode, 0)

    def test_two_at_once(self):
        first = self.run_servers("redis", "s3", "openai")
        other = self.run_servers("redis", "s3", "openai", scratch=self.scratch.with_name("other"))
        ports = [run.port(name) for run in (first, other) for name in ("redis", "s3", "openai")]
        self.assertEqual(len(set(ports)), 6)

    def test_a_folder_that_was_there_stays(self):
        self.scratch.mkdir()
        (self.scratch / "mine").touch()
        self.run_servers("redis").end()
        self.assertEqual([path.name for path in self.scratch.iterdir()], ["mine"])

    def test_a_folder_only_root_may_enter(self):
        self.scratch.mkdir()
        self.scratch.chmod(0o700)
        run = self.run_servers("postgresql")
        self.assertEqual(psql(run.uris["postgresql"], "select 1").stdout, "1\n")

    def test_wrong_commands(self):
        run = self.run_servers("redis")
        self.assertEqual(run.ask("stop mars"), "error no such server: mars")
        self.assertTrue(run.ask("explode redis").startswith("error usage"))
        self.assertTrue(run.ask("").startswith("error usage"))
        self.assertEqual(run.ask("status redis"), "ok redis running")


if __name__ == "__main__":
    taprunner.main()
