# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the backends share: a small HTTP server that can be told to misbehave.

POST /control with a JSON object sets the fault, {} heals, GET /control shows it and what was asked
so far. Keys, all of which may be combined:

  status N            answer with that status; with retry_after, code, type, message, region
  slow SECONDS        wait before the answer
  silent true         read the request, never answer (until healed, when the connection is dropped)
  close true          drop the connection instead of an answer
  drip SECONDS        one byte of the answer at a time, with that pause between
  truncate true       promise the whole body, send half of it, drop the connection
  garbage true        bytes that are no HTTP
  endless true        a body without an end
  interim true        “100 Continue” without an end, and no answer
  packed true         a gzipped body without an end, which holds nothing
  count N             only the next N requests, then heal
  path TEXT           only requests whose path begins so

/control itself never misbehaves and asks for no credentials: these are for tests and
demonstrations.
"""
import argparse
import asyncio
import collections
import ctypes
import http
import json
import os
import signal
import sys
import urllib.parse

HEAD_MAX = 64 * 1024
BODY_MAX = 64 * 1024 * 1024
PR_SET_PDEATHSIG = 1
FAULT_KEYS = {
    "status": int, "retry_after": (int, float, str), "code": (int, str), "type": str,
    "message": str, "region": str, "slow": (int, float), "silent": bool, "close": bool,
    "drip": (int, float), "truncate": bool, "garbage": bool, "endless": bool,
    "interim": bool, "packed": bool, "count": int, "path": str,
}


class BadRequest(Exception):
    """A request that is no HTTP, or too big."""


class Request:
    """One request: `path` is as it was sent, still escaped."""

    def __init__(self, method, target, headers, body):
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = body

    def parameters(self):
        return dict(urllib.parse.parse_qsl(self.query, keep_blank_values=True))


class Answer:
    """One answer. `length` stands in for the body where there is none (HEAD)."""

    def __init__(self, status, body=b"", headers=None, content_type=None, length=None):
        self.status = status
        self.body = body
        self.headers = dict(headers or {})
        self.length = len(body) if length is None else length
        if content_type:
            self.headers["Content-Type"] = content_type


def json_answer(status, value, headers=None):
    return Answer(status, json.dumps(value).encode() + b"\n", headers, "application/json")


def check_fault(value):
    """Gives the fault, or raises ValueError with what is wrong."""
    if not isinstance(value, dict):
        raise ValueError("a fault is a JSON object")
    for key, item in value.items():
        if key not in FAULT_KEYS:
            raise ValueError(f"unknown key {key!r}")
        if not isinstance(item, FAULT_KEYS[key]):
            raise ValueError(f"{key}: bad value {item!r}")
    return value


class Backend:
    """A server. A subclass answers: `answer (request)`, and `error (request, fault)` for a status
    it was told to give."""

    name = "backend"

    def __init__(self, options):
        self.options = options
        self.fault = check_fault(json.loads(options.misbehave))
        self.healed = asyncio.Event()
        self.asked = collections.Counter()
        self.connections = set()

    @classmethod
    def add_options(cls, parser):
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=0, help="0: any free one")
        parser.add_argument("--misbehave", default="{}", metavar="JSON",
                            help="a fault to begin with, as POST /control takes it")

    def answer(self, request):
        raise NotImplementedError

    def error(self, request, fault):
        raise NotImplementedError

    # The fault

    def set_fault(self, fault):
        self.fault = fault
        self.healed.set()
        self.healed = asyncio.Event()

    def take_fault(self, request):
        """The fault for this request; counts it down."""
        fault = self.fault
        if not request.path.startswith(fault.get("path", "")):
            return {}
        if "count" in fault:
            if fault["count"] <= 0:
                return {}
            fault["count"] -= 1
        return fault

    def control(self, request):
        if request.method == "GET":
            return json_answer(200, {"fault": self.fault, "asked": dict(self.asked)})
        if request.method != "POST":
            return json_answer(405, {"error": "GET or POST"})
        try:
            self.set_fault(check_fault(json.loads(request.body or b"{}")))
        except ValueError as error:
            return json_answer(400, {"error": str(error)})
        return json_answer(200, {"fault": self.fault})

    # Reading

    async def read_body(self, reader, writer, headers):
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return await self.read_chunks(reader)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_MAX:
            raise BadRequest("bad length")
        return await reader.readexactly(int(length))

    @staticmethod
    async def read_chunks(reader):
        body = b""
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if len(body) + size > BODY_MAX:
                raise BadRequest("too big")
            body += await reader.readexactly(size)
            await reader.readexactly(2)
            if size == 0:
                return body

    async def read_request(self, reader, writer):
        """Gives the next request, or None at the end of the connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise BadRequest("cut short") from error
            return None
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadRequest("no HTTP")
        headers = {}
        for line in filter(None, lines[1:]):
            key, colon, value = line.partition(":")
            if not colon:
                raise BadRequest("bad header")
            headers[key.strip().lower()] = " ".join(value.split())
        body = await self.read_body(reader, writer, headers)
        return Request(words[0], words[1], headers, body)

    # Writing

    @staticmethod
    def head(answer):
        try:
            phrase = http.HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {answer.status} {phrase}"]
        lines += [f"{key}: {value}" for key, value in answer.headers.items()]
        if answer.status != 204:
            lines.append(f"Content-Length: {answer.length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    @staticmethod
    async def drip(writer, data, pause):
        for i in range(len(data)):
            writer.write(data[i:i + 1])
            await writer.drain()
            await asyncio.sleep(pause)

    @staticmethod
    async def send_endless(writer, head, part):
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()

    async def misbehave_endlessly(self, writer, fault):
        """Comes back at once where the fault is another; else when the client has gone."""
        if fault.get("endless"):
            await self.send_endless(writer,
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                    b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        if fault.get("interim"):
            await self.send_endless(writer, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10000)
        if fault.get("packed"):
            await self.send_endless(writer, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
                                    b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\0\0\0\xff\xff" * 100000)

    async def send(self, writer, answer, fault):
        """Sends an answer; False when the connection must end."""
        data = self.head(answer) + answer.body
        if fault.get("truncate"):
            cut = max(1, (len(answer.body) + 1) // 2)
            data = data[:-cut]
        if fault.get("drip"):
            await self.drip(writer, data, fault["drip"])
        else:
            writer.write(data)
            await writer.drain()
        return not fault.get("truncate")

    async def misbehave(self, request, writer, fault):
        """Gives False when there is nothing more to say on this connection."""
        healed = self.healed
        if fault.get("slow"):
            await asyncio.sleep(fault["slow"])
        if fault.get("silent"):
            await healed.wait()
            return False
        if fault.get("close"):
            return False
        if fault.get("garbage"):
            writer.write(b"\x00\x01\xfe\xffthis is no HTTP at all\r\n\r\n\x80\x81")
            await writer.drain()
            return False
        await self.misbehave_endlessly(writer, fault)
        if "status" in fault:
            answer = self.error(request, fault)
            if "retry_after" in fault:
                answer.headers["Retry-After"] = fault["retry_after"]
        else:
            answer = self.answer(request)
        return await self.send(writer, answer, fault)

    async def serve_one(self, reader, writer):
        request = await self.read_request(reader, writer)
        if request is None:
            return False
        if request.path == "/control":
            return await self.send(writer, self.control(request), {})
        self.asked[f"{request.method} {request.path}"] += 1
        keep = await self.misbehave(request, writer, self.take_fault(request))
        return keep and request.headers.get("connection", "").lower() != "close"

    async def serve_connection(self, reader, writer):
        self.connections.add(asyncio.current_task())
        try:
            while await self.serve_one(reader, writer):
                pass
        except (BadRequest, asyncio.LimitOverrunError, ValueError):
            writer.write(self.head(Answer(400, headers={"Connection": "close"})))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.discard(asyncio.current_task())
            writer.close()

    async def run(self):
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        server = await asyncio.start_server(self.serve_connection, self.options.host,
                                            self.options.port, limit=HEAD_MAX)
        port = server.sockets[0].getsockname()[1]
        print(f"ready http://{self.options.host}:{port}", flush=True)
        await stop.wait()
        server.close()
        for task in list(self.connections):
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)


def die_with_parent():
    """Asks the kernel for an end, even while frozen, when whoever started this ends."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def main(kind):
    """Runs a backend of that class until TERM."""
    parser = argparse.ArgumentParser(description=kind.__doc__)
    kind.add_options(parser)
    options = parser.parse_args()
    die_with_parent()

    async def start():
        try:
            backend = kind(options)
        except ValueError as error:
            parser.error(str(error))
        await backend.run()

    try:
        asyncio.run(start())
    except OSError as error:
        sys.exit(f"{kind.name}: {error}")
