# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stands before a server and injures it: whole, refusing, silent, denying who comes in, or telling
those it denies all that they said."""
import json
import select
import socket
import threading

from private_servers import port

MODES = ("whole", "refusing", "silent", "denying", "telling")


def postgresql(client, tells):
    """Asks for the password in clear text, and does not like it."""
    if client.recv(4096)[4:8] == (80877103).to_bytes(4, "big"):  # wants TLS
        client.sendall(b"N")
        client.recv(4096)
    client.sendall(b"R\0\0\0\x08\0\0\0\x03")
    said = client.recv(4096)[5:].rstrip(b"\0") if tells else b""
    fields = (b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"derate\" "
              + said + b"\0D" + said + b"\0H" + said + b"\0\0")
    client.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)


def redis(client, tells):
    while said := client.recv(4096):
        said = said.replace(b"\r\n", b" ") if tells else b""
        client.sendall(b"-WRONGPASS invalid username-password pair or user is disabled. "
                       + said + b"\r\n")


def http(client, tells):
    said = client.recv(65536)
    text = json.dumps(said.decode("latin-1") if tells else "Incorrect key provided")
    body = f'{{"error":{{"message":{text},"code":"invalid_api_key"}}}}'.encode()
    reason = said.replace(b"\r\n", b" ") if tells else b"Unauthorized"
    client.sendall(b"HTTP/1.1 401 " + reason + b"\r\nWWW-Authenticate: Basic realm=\"shop\"\r\n"
                   b"Connection: close\r\nContent-Type: application/json\r\nContent-Length: "
                   + str(len(body)).encode() + b"\r\n\r\n" + body)


def page(client):
    """A server that wants nothing."""
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


class Relay:
    """`target` is where the server is: a host and a port, a path, or a function that is one."""

    def __init__(self, target, deny):
        self.port = port.take()
        self.target = target
        self.deny = deny
        self.mode = None
        self.listener = None
        self.clients = set()
        self.lock = threading.Lock()
        self.set_mode("whole")

    def set_mode(self, mode):
        """Whoever is connected must come again."""
        with self.lock:
            self.mode = mode
            clients, self.clients = self.clients, set()
        for client in clients:
            self.hang_up(client)
        if mode == "refusing" and self.listener is not None:
            self.hang_up(self.listener)
            self.listener.close()
            self.listener = None
        elif mode != "refusing" and self.listener is None:
            self.listener = socket.create_server(("127.0.0.1", self.port.number), backlog=128)
            threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    @staticmethod
    def hang_up(peer):
        try:
            peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def accept(self, listener):
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            with self.lock:
                mode = self.mode
                self.clients.add(client)
            threading.Thread(target=self.serve, args=(client, mode), daemon=True).start()

    def serve(self, client, mode):
        with client:
            try:
                if mode == "silent":
                    while client.recv(4096):
                        pass
                elif mode in ("denying", "telling"):
                    self.deny(client, mode == "telling")
                elif callable(self.target):
                    self.target(client)
                else:
                    self.carry(client)
            except OSError:
                pass

    def carry(self, client):
        kind = socket.AF_INET if isinstance(self.target, tuple) else socket.AF_UNIX
        with socket.socket(kind) as server:
            server.connect(self.target)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)

    def end(self):
        self.set_mode("refusing")
