# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tour's user: 50 requests a second at fixed instants, whatever becomes of the earlier ones."""
import asyncio
import collections
import dataclasses
import json
import random
import threading
import time

RATE = 50
SLOWEST = 0.25
GIVE_UP = 5


@dataclasses.dataclass
class Answer:
    """What came back; status 0 stands for nothing."""

    kind: str
    seconds: float
    status: int
    source: str
    fault: str


def make_request(number):
    """Four of five look at a price in the shop, one asks for a price to be worked out."""
    if number % 5 == 4:
        body = json.dumps({"item": f"item {number}", "price": 100})
        return "ai", (f"POST /ai/pricing HTTP/1.1\r\nHost: tour\r\nConnection: close\r\n"
                      f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                      f"{body}").encode()
    return "prices", (f"GET /prices/{random.randint(1, 100)} HTTP/1.1\r\nHost: tour\r\n"
                      "Connection: close\r\n\r\n").encode()


def read_answer(kind, seconds, data):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    headers = {line.partition(":")[0].lower() for line in lines[1:]}
    try:
        source = json.loads(body).get("source", "ai" if kind == "ai" else "database")
    except (ValueError, AttributeError):
        return Answer(kind, seconds, status, "", "an answer that is no JSON")
    fault = ""
    if status == 503:
        source = "refused"
        fault = "" if "retry-after" in headers else "a 503 without Retry-After"
    elif status != 200:
        fault = f"status {status}"
    return Answer(kind, seconds, status, source, fault)


class Client(threading.Thread):
    """Asks until it is ended. `pause ()` and `resume ()` may be called at any time."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.lock = threading.Lock()
        self.asking = threading.Event()
        self.over = False
        self.answers = []
        self.all_answers = []
        self.faults = []

    async def exchange(self, request):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()

    async def ask(self, number):
        kind, request = make_request(number)
        begin = time.monotonic()
        try:
            data = await asyncio.wait_for(self.exchange(request), GIVE_UP)
            answer = read_answer(kind, time.monotonic() - begin, data)
        except (OSError, asyncio.TimeoutError) as error:
            answer = Answer(kind, time.monotonic() - begin, 0, "", f"no answer: {error!r}")
        if not answer.fault and answer.seconds > SLOWEST:
            answer.fault = f"{answer.seconds * 1000:.0f} ms"
        with self.lock:
            self.answers.append(answer)

    async def pace(self):
        """Late requests are not left out: a slow service must not slow its measure."""
        tasks = set()
        due = time.monotonic()
        number = 0
        while not self.over:
            if not self.asking.is_set():
                await asyncio.sleep(1 / RATE)
                due = time.monotonic()
                continue
            task = asyncio.ensure_future(self.ask(number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
            due += 1 / RATE
            await asyncio.sleep(max(0, due - time.monotonic()))
        await asyncio.gather(*tasks)

    def run(self):
        asyncio.run(self.pace())

    def resume(self):
        self.asking.set()

    def pause(self):
        self.asking.clear()

    def end(self):
        self.over = True
        if self.is_alive():
            self.join(GIVE_UP + 1)

    def take(self):
        """Gives what was answered since the last call, and keeps it for the end."""
        with self.lock:
            answers, self.answers = self.answers, []
        self.all_answers += answers
        self.faults += [f"{answer.kind}: {answer.fault}" for answer in answers if answer.fault]
        return answers


def describe(answers):
    """What a user saw, in one line."""
    if not answers:
        return "nobody asked"
    seen = collections.Counter((answer.kind, answer.source) for answer in answers)
    parts = [f"{kind} from {source} {count}" if source != "refused" else f"{kind} refused {count}"
             for (kind, source), count in sorted(seen.items())]
    times = sorted(answer.seconds for answer in answers)
    slow = times[int(len(times) * 0.95)] if len(times) > 1 else times[0]
    return (f"{len(answers)} answers: {', '.join(parts)}; P95 {slow * 1000:.0f} ms, "
            f"slowest {times[-1] * 1000:.0f} ms")
