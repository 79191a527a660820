# SPDX-License-Identifier: LGPL-2.1-or-later
"""./dev run --tour: a failure story on real backends, told as it happens.

Every step says what was promised and what came out; the tour exits 0 only if they agree.
"""
import json
import subprocess
import time

import checkout
import stack
import toursale
from private_servers.process import Failed
from tourclient import SLOWEST, Client, describe
from tourdrill import tell_drills

FAST = {"recovery-interval": "2s", "recovery-hold": "2s", "recovery-damping": "off"}
AT_ONCE = 1.0       # after the first failed call
BY_CHECKS = 17.0    # a silent peer, with no traffic
HEAL_FAST = 25.0    # noticed by the next check, two good ones, a tick
HEAL_DEFAULT = 60.0
HOLD = 20


def make_stack(scratch, port):
    overrides = "[derate]\n" + "".join(f"{key}={value}\n" for key, value in FAST.items())
    return stack.Stack(scratch, port, overrides, log_to_file=True)


class Story:
    """The stack, its user, and what was promised."""

    def __init__(self, running):
        self.running = running
        self.client = Client(running.port)
        self.begin = time.monotonic()
        self.told = 0  # of the user's faults
        self.passed = 0
        self.broken = []

    # Telling

    def say(self, text):
        print(f"{time.monotonic() - self.begin:7.1f} s  {text}", flush=True)

    def promise(self, kept, text):
        self.passed += bool(kept)
        if not kept:
            self.broken.append(text)
        self.say(f"{'ok' if kept else 'BROKEN'}: {text}")

    def chapter(self, title):
        print(f"\n{title}", flush=True)

    def tell_user(self):
        """What the user saw since this was told last, and whether that was good enough. Gives it."""
        answers = self.client.take()
        self.say(f"the user: {describe(answers)}")
        faults = self.client.faults[self.told:]
        self.told = len(self.client.faults)
        if answers:
            self.promise(not faults, "each request answered, within "
                         f"{SLOWEST * 1000:.0f} ms, none with a 500"
                         + (f": {len(faults)} were not: {faults[:3]}" if faults else ""))
        return answers

    # Looking

    def get(self, path):
        body = stack.fetch(self.running.url + path)[1]
        try:
            return json.loads(body)
        except ValueError as error:
            raise Failed(f"{path}: no JSON: {body[:80]!r}") from error

    def status(self):
        return self.get("/degradation")

    def deratectl(self, *words):
        program = checkout.BUILD / "tools" / "deratectl" / "deratectl"
        done = subprocess.run([str(program), "--address", self.running.bus, *words],
                              capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise Failed(f"deratectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def level_over_dbus(self):
        done = subprocess.run(
            ["gdbus", "call", "--address", self.running.bus,
             "--dest", "org.derate.Derate1.retail-agent", "--object-path", "/org/derate/Derate1",
             "--method", "org.freedesktop.DBus.Properties.Get",
             "org.derate.Derate1.Manager", "Level"], capture_output=True, text=True, timeout=30)
        return done.stdout.strip().removeprefix("(<'").removesuffix("'>,)") or done.stderr.strip()

    def watch_level(self, level, seconds, each=None):
        """Waits for a level. Gives the status that showed it, or the last one."""
        deadline = time.monotonic() + seconds
        while True:
            if each is not None:
                each()
            status = self.status()
            if status["level"] == level or time.monotonic() > deadline:
                return status
            time.sleep(0.03)

    # Doing

    def injure(self, verb, name):
        self.running.servers.ask(f"{verb} {name}")
        self.say(f"{name}: {verb}")

    def say_level(self, status):
        inputs = ", ".join(f"{key} {value}" for key, value in status["inputs"].items())
        self.say(f"level {status['level']}: {status['text']} ({status['rule']}: {inputs})")

    @staticmethod
    def changed_to(level, status):
        """When the program last came to a level, by its own clock."""
        return max((step["time"] for step in status["history"] if step["to"] == level), default=0)

    def worsen_by_traffic(self, verb, name, service, level):
        """The level must be there a second after the first failed call."""
        before = self.get("/circuit-breakers")[service]["failed_requests"]
        first = []

        def look():
            breaker = self.get("/circuit-breakers")[service]
            if breaker["failed_requests"] > before and not first:
                first.append(breaker["last_failure_time"])
        injured = time.time()
        self.injure(verb, name)
        status = self.watch_level(level, 10, look)
        self.say_level(status)
        took = self.changed_to(level, status) - (first[0] if first else injured)
        self.promise(status["level"] == level and took <= AT_ONCE,
                     f"{level} {max(took, 0):.2f} s after the first failed call")

    def worsen_by_checks(self, verb, name, level):
        begin = time.monotonic()
        self.injure(verb, name)
        status = self.watch_level(level, BY_CHECKS + 5)
        took = time.monotonic() - begin
        self.say_level(status)
        self.promise(status["level"] == level and took <= BY_CHECKS,
                     f"{level} after {took:.1f} s by checks alone, at most {BY_CHECKS:.0f} s")

    def heal(self, verbs, level, seconds):
        for verb, name in verbs:
            self.injure(verb, name)
        begin = time.time()
        status = self.watch_level(level, seconds + 10)
        took = self.changed_to(level, status) - begin
        self.say_level(status)
        self.promise(status["level"] == level and 0 < took <= seconds,
                     f"{level} after {took:.1f} s by the recovery loop, at most {seconds:.0f} s")


def tell_failures(story):
    story.chapter("1. Redis dies; OpenAI freezes; PostgreSQL dies")
    story.worsen_by_traffic("stop", "redis", "redis", "degraded")
    story.tell_user()
    story.worsen_by_traffic("freeze", "openai", "openai", "limited")
    story.tell_user()
    cut = toursale.Cut(story)
    story.worsen_by_traffic("stop", "postgresql", "database", "emergency")
    cut.tell()
    time.sleep(2)
    story.tell_user()


def tell_recovery(story):
    story.chapter("2. They come back, Redis first")
    story.heal([("start", "redis")], "minimal", HEAL_FAST)
    toursale.tell_refused(story)
    story.tell_user()
    story.heal([("thaw", "openai"), ("start", "postgresql")], "optimal", HEAL_FAST)
    toursale.tell_undone(story)
    time.sleep(2)
    story.tell_user()


def tell_quiet(story):
    story.chapter("3. Nobody asks for anything; S3 dies, PostgreSQL freezes")
    story.client.pause()
    story.worsen_by_checks("stop", "s3", "degraded")
    story.worsen_by_checks("freeze", "postgresql", "minimal")
    story.client.resume()
    time.sleep(2)
    story.tell_user()
    story.heal([("start", "s3"), ("thaw", "postgresql")], "optimal", HEAL_FAST)
    story.tell_user()


def tell_hold(story):
    story.chapter("4. An operator holds the level for maintenance")
    begin = time.monotonic()
    story.deratectl("hold", "minimal", "--reason", "maintenance", "--for", f"{HOLD}s")
    story.say(f"deratectl hold minimal --reason maintenance --for {HOLD}s")
    page = story.status()
    shown = {"/degradation": page["level"], "over D-Bus": story.level_over_dbus(),
             "deratectl status": json.loads(story.deratectl("status", "--json"))["level"]}
    story.say_level(page)
    took = time.monotonic() - begin
    story.promise(set(shown.values()) == {"minimal"} and took < 1,
                  f"shown within {took:.2f} s: {shown}")
    hold = page["holds"][0] if page["holds"] else {}
    story.promise(hold.get("reason") == "maintenance" and page["computed_level"] == "optimal",
                  f"the reason is told, and the computed level goes on: {page['computed_level']}")
    status = story.watch_level("optimal", HOLD + 10)
    took = time.monotonic() - begin
    story.say_level(status)
    story.promise(status["level"] == "optimal" and not status["holds"] and HOLD <= took < HOLD + 6,
                  f"the hold ended by itself after {took:.1f} s")
    story.tell_user()


def tell_defaults(story):
    story.chapter("6. The same with the settings as they are shipped")
    story.client.pause()
    running = story.running
    story.promise(running.stop_agent() == 0, "the agent ends by SIGTERM, exit status 0")
    running.overrides = ""
    running.start_agent()
    story.say("the agent again, with recovery-interval=30s recovery-hold=30s recovery-damping=on")
    story.watch_level("optimal", 10)
    story.client.resume()
    time.sleep(1)
    story.worsen_by_traffic("stop", "redis", "redis", "degraded")
    story.heal([("start", "redis")], "optimal", HEAL_DEFAULT)
    story.tell_user()


def tell_end(story):
    story.chapter("7. The books")
    toursale.tell_books(story)


def play(running, lock):
    """Gives the exit status."""
    running.start_servers()
    running.start_agent()
    lock.write(running.state())
    story = Story(running)
    settings = " ".join(f"{key}={value}" for key, value in FAST.items())
    print(f"derate: ready {running.url}\nderate: a tour with {settings}", flush=True)
    try:
        story.watch_level("optimal", 10)
        story.client.resume()
        time.sleep(2)
        story.chapter("0. All is well")
        story.say_level(story.status())
        story.tell_user()
        for chapter in (tell_failures, tell_recovery, tell_quiet, tell_hold, tell_drills,
                        tell_defaults, tell_end):
            chapter(story)
    finally:
        story.client.end()
    took = time.monotonic() - story.begin
    print(f"\nIn {took:.0f} s the user sent {story.client.count} requests.", flush=True)
    for text in story.broken:
        print(f"broken: {text}")
    print(f"{story.passed} passed, {len(story.broken)} failed")
    return 1 if story.broken else 0
