# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private PostgreSQL: a cluster made by initdb, on a unix socket and a port of 127.0.0.1. With
DERATE_TEST_TLS=1 its URI leads to the port, by TLS, with a certificate that is to be verified."""
import ctypes
import glob
import os
import pathlib
import pwd
import re
import signal

from . import port, process
from .process import Failed
from .server import START_SECONDS, Server, find_program

IPC_RMID = 0
# A killed server keeps what it has confirmed: only the machine must not go down.
SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{socket}'
fsync = off
full_page_writes = off
shared_buffers = 16MB
dynamic_shared_memory_type = mmap
max_connections = 60
max_wal_senders = {senders}
wal_level = {wal}
autovacuum = off
logging_collector = off
"""
ENCRYPTED = """
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
"""
FOLLOWING = """
primary_conninfo = 'host={primary.socket} port={primary.port.number} user={primary.user}'
wal_retrieve_retry_interval = 100ms
"""


def version_key(path):
    return [int(number) for number in re.findall(r"\d+", path)]


def programs():
    """Folders with PostgreSQL's server programs, the newest first."""
    return sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version_key, reverse=True)


def reachable(folder, user):
    """Whether that user can enter a folder."""
    for step in [folder, *folder.parents]:
        stat = step.stat()
        shift = 6 if stat.st_uid == user.pw_uid else 3 if stat.st_gid == user.pw_gid else 0
        if not stat.st_mode >> shift & 1:
            return False
    return True


def remove_shared_memory(folder):
    """A killed postmaster leaves one small shared memory segment, named in its file."""
    for path in folder.rglob("data/postmaster.pid"):
        words = (path.read_text(encoding="utf-8").split("\n") + [""] * 7)[6].split()
        if len(words) == 2:
            process.libc.shmctl(ctypes.c_int(int(words[1])), IPC_RMID, None)


class PostgreSQL(Server):
    """PostgreSQL refuses root, which therefore runs it as the user postgres."""

    name = "postgresql"
    stop_signal = signal.SIGQUIT  # ends every session at once and removes its shared memory
    user = "derate"
    followed = False  # by a standby

    def __init__(self, scratch, runtime):
        super().__init__(scratch, runtime)
        self.port = port.take()
        self.socket = runtime / self.name
        self.socket.mkdir()
        if os.geteuid() == 0:
            self.become_postgres()
        self.data = self.folder / "data"
        self.encrypted = os.environ.get("DERATE_TEST_TLS") == "1"

    def become_postgres(self):
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            user = pwd.getpwnam("nobody")
        self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        if not reachable(self.folder.resolve(), user):
            self.folder.rmdir()
            self.folder = self.runtime / f"{self.name}-data"
            self.folder.mkdir()
        for folder in (self.folder, self.socket):
            os.chown(folder, user.pw_uid, user.pw_gid)

    @property
    def uri(self):
        host = "localhost" if self.encrypted else self.socket
        tls = f"verify-full&sslrootcert={self.certificate}" if self.encrypted else "disable"
        return (f"postgresql:///shop?host={host}&port={self.port.number}&user={self.user}"
                f"&sslmode={tls}")

    @property
    def certificate(self):
        return self.socket / "server.crt"

    def run(self, *command):
        child = self.spawn(command)
        if child.wait() != 0:
            raise Failed(f"{self.name}: {pathlib.Path(command[0]).name}: {self.last_words()}")

    def prepare(self):
        self.run(find_program("initdb", *programs()), "--pgdata", str(self.data), "--no-sync",
                 "--username", self.user, "--auth", "trust", "--encoding", "UTF8", "--locale", "C")
        self.add_settings(SETTINGS)
        if self.encrypted:
            self.encrypt()

    def encrypt(self):
        self.run(find_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                 "-addext", "subjectAltName=DNS:localhost",
                 "-keyout", str(self.data / "server.key"), "-out", str(self.data / "server.crt"))
        # The folder of a cluster is its user's alone.
        self.certificate.write_bytes((self.data / "server.crt").read_bytes())
        self.add_settings(ENCRYPTED)

    def add_settings(self, text, **more):
        with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write(text.format(port=self.port.number, socket=self.socket,
                                   senders=4 if self.followed else 0,
                                   wal="replica" if self.followed else "minimal", **more))

    def command(self):
        return [find_program("postgres", *programs()), "-D", str(self.data)]

    def postmaster_file(self):
        try:
            return (self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return []

    def is_ready(self):
        self.must_live()
        lines = self.postmaster_file()
        return len(lines) > 7 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

    def wait_ready(self):
        process.wait_until(self.is_ready, START_SECONDS, self.name)
        marker = self.folder / "shop"
        if not marker.exists():
            self.run(find_program("createdb", *programs()), "--host", str(self.socket), "--port",
                     str(self.port.number), "--username", self.user, "shop")
            marker.touch()


class Standby(PostgreSQL):
    """A copy of the primary, which it follows by streaming; it answers reads. `promote` makes it a
    primary of its own."""

    name = "standby"
    usual = False
    primary = None

    def follow(self, primary):
        """Before the primary is prepared; this one is prepared once the primary answers."""
        self.primary = primary
        primary.followed = self.followed = True

    def prepare(self):
        self.run(find_program("pg_basebackup", *programs()), "--pgdata", str(self.data), "--no-sync",
                 "--host", str(self.primary.socket), "--port", str(self.primary.port.number),
                 "--username", self.user, "--checkpoint=fast", "--wal-method=stream")
        self.add_settings(SETTINGS + FOLLOWING, primary=self.primary)
        (self.data / "standby.signal").touch()
        (self.folder / "shop").touch()

    def promote(self):
        self.must_live()
        self.run(find_program("pg_ctl", *programs()), "promote", "--pgdata", str(self.data),
                 "--wait", "--timeout", str(START_SECONDS))
        return f"promoted {self.uri}"
