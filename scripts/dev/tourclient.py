# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tour's user: 50 requests a second at fixed instants, whatever becomes of the earlier ones."""
import asyncio
import collections
import dataclasses
import json
import random
import subprocess
import sys
import time

RATE = 50
SLOWEST = 0.25
GIVE_UP = 5
TICK = 0.005


@dataclasses.dataclass
class Answer:
    """What came back; status 0 stands for nothing."""

    kind: str
    seconds: float
    status: int
    source: str
    fault: str
    number: int


def make_sale(sale, *products):
    """The transaction of a sale of one piece of each."""
    operations = [("record-sale", {"sale": sale})]
    for product in sorted(products):  # so that no two sales wait for each other
        operations += [("take-stock", {"id": product, "quantity": 1}),
                       ("record-line", {"sale": sale, "product": product, "quantity": 1})]
    return {"operations": [{"statement": statement, "parameters": parameters}
                           for statement, parameters in operations]}


def post(path, body):
    text = json.dumps(body)
    return (f"POST {path} HTTP/1.1\r\nHost: tour\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            f"{text}").encode()


def make_request(number):
    """Of ten, seven look at a price in the shop, two ask for one to be worked out, one buys."""
    if number % 5 == 4:
        return "ai", post("/ai/pricing", {"item": f"item {number}", "price": 100})
    if number % 10 == 0:
        return "sales", post("/db/transaction",
                             make_sale(str(number), *random.sample(range(1, 101), 2)))
    return "prices", (f"GET /prices/{random.randint(1, 100)} HTTP/1.1\r\nHost: tour\r\n"
                      "Connection: close\r\n\r\n").encode()


SOURCES = {"ai": "ai", "prices": "database", "sales": "done"}  # where nothing else is said


def read_answer(kind, number, seconds, data):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    headers = {line.partition(":")[0].lower() for line in lines[1:]}
    try:
        answer = json.loads(body)
        source = answer.get("source", SOURCES[kind])
    except (ValueError, AttributeError):
        return Answer(kind, seconds, status, "", "an answer that is no JSON", number)
    fault = ""
    if status == 503:
        source = "unconfirmed" if answer.get("error") == "Write not confirmed" else "refused"
        fault = "" if "retry-after" in headers else "a 503 without Retry-After"
    elif status != 200:
        fault = f"status {status}"
    return Answer(kind, seconds, status, source, fault, number)


class Asker:
    """Asks, in a process of its own: the storyteller must not slow what it measures."""

    def __init__(self, port):
        self.port = port
        self.asking = asyncio.Event()
        self.answers = []
        self.tasks = set()
        self.late = collections.deque(maxlen=1000)

    async def tick(self):
        """Notes when this process itself was held up: that is not the service's doing."""
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            self.late.append((time.monotonic(), max(0, time.monotonic() - due)))

    def held_up(self, begin):
        return sum(late for when, late in self.late if when >= begin and late > TICK)

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
            took = time.monotonic() - begin
            answer = read_answer(kind, number, max(0, took - self.held_up(begin)), data)
        except (OSError, asyncio.TimeoutError) as error:
            answer = Answer(kind, time.monotonic() - begin, 0, "unconfirmed",
                            f"no answer: {error!r}", number)
        if not answer.fault and answer.seconds > SLOWEST:
            answer.fault = f"{answer.seconds * 1000:.0f} ms"
        self.answers.append(answer)

    async def pace(self):
        """Late requests are not left out: a slow service must not slow its measure."""
        number = 0
        due = time.monotonic()
        while True:
            if not self.asking.is_set():
                await self.asking.wait()
                due = time.monotonic()
            task = asyncio.ensure_future(self.ask(number))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            number += 1
            due += 1 / RATE
            await asyncio.sleep(max(0, due - time.monotonic()))

    async def settle(self):
        """Waits for what is under way when no more is asked."""
        if not self.asking.is_set():
            await asyncio.gather(*self.tasks)

    async def obey(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        background = [asyncio.ensure_future(self.tick()), asyncio.ensure_future(self.pace())]
        while word := (await reader.readline()).decode().strip():
            if word == "resume":
                self.asking.set()
            elif word == "pause":
                self.asking.clear()
            await self.settle()
            answers, self.answers = self.answers, []
            print(json.dumps([dataclasses.astuple(answer) for answer in answers]), flush=True)
        for task in background:
            task.cancel()


class Client:
    """The process that asks, as the storyteller sees it. It ends with its standard input."""

    def __init__(self, port):
        self.child = subprocess.Popen(["/usr/bin/python3", __file__, str(port)], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      start_new_session=True)
        self.answers = []
        self.faults = []
        self.sales = {}  # what was said of each
        self.count = 0

    def tell(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()
        self.answers += [Answer(*fields) for fields in json.loads(self.child.stdout.readline())]

    def resume(self):
        self.tell("resume")

    def pause(self):
        """Returns when all that was asked is answered."""
        self.tell("pause")

    def take(self):
        """Gives what was answered since the last call."""
        self.tell("tell")
        answers, self.answers = self.answers, []
        self.count += len(answers)
        self.sales.update({str(answer.number): answer.source for answer in answers
                           if answer.kind == "sales"})
        self.faults += [f"{answer.kind}: {answer.fault}" for answer in answers if answer.fault]
        return answers

    def end(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


UNSOURCED = ("done", "refused", "unconfirmed")


def describe(answers):
    """What a user saw, in one line."""
    if not answers:
        return "nobody asked"
    seen = collections.Counter((answer.kind, answer.source) for answer in answers)
    parts = [f"{kind} {'' if source in UNSOURCED else 'from '}{source} {count}"
             for (kind, source), count in sorted(seen.items())]
    times = sorted(answer.seconds for answer in answers)
    slow = times[int(len(times) * 0.95)] if len(times) > 1 else times[0]
    return (f"{len(answers)} answers: {', '.join(parts)}; P95 {slow * 1000:.0f} ms, "
            f"slowest {times[-1] * 1000:.0f} ms")


if __name__ == "__main__":
    asyncio.run(Asker(int(sys.argv[1])).obey())
