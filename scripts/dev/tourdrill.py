# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tour's chapter on drills: each service is let play dead for some seconds, and comes back."""
import json
import subprocess
import time

import checkout
from private_servers.process import Failed

SECONDS = 3
AT_ONCE = 0.5      # until the page shows it; by the program's own clock it is less
AT_THE_TICK = 3.0  # a recovery tick of 2 s
LATE = 0.25        # what a call may take that had begun before

# What a drill of each must come to: the level, what becomes of a feature, and the strategy that
# answers in its place.
DRILLS = {
    "database": ("minimal", ("writes", "off"), "redis-copy"),
    "redis": ("degraded", ("cache", "off"), None),
    "openai": ("degraded", ("ai", "off"), "degraded"),
    "s3": ("degraded", ("uploads", "queued"), None),
}


class Drill:
    """`deratectl drill`, in the foreground of somebody else."""

    def __init__(self, story, service, seconds):
        program = checkout.BUILD / "tools" / "deratectl" / "deratectl"
        words = ["drill", service, "--for", f"{seconds}s", "--reason", "the tour", "--json"]
        self.begin = time.monotonic()
        self.child = subprocess.Popen(
            [str(program), "--address", story.running.bus, *words], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said = self.child.stderr.readline().strip()
        if not self.said.startswith(service):
            raise Failed(f"deratectl {' '.join(words)}: {self.said}")
        story.say(f"deratectl drill {service} --for {seconds}s: {self.said}")

    def report(self):
        output, errors = self.child.communicate(timeout=30)
        if self.child.returncode != 0:
            raise Failed(f"deratectl drill: {output}{errors}")
        return json.loads(output)

    def kill(self):
        self.child.kill()
        self.child.communicate()


def tell_begin(story, drill, service):
    level, (feature, wanted), _strategy = DRILLS[service]
    status = story.watch_level(level, 5)
    took = time.monotonic() - drill.begin
    since = status["drills"][0]["since"] if status["drills"] else 0
    inside = story.changed_to(level, status) - since
    mode = status["features"][feature]["mode"]
    story.say_level(status)
    story.promise(status["level"] == level and mode == wanted and took < AT_ONCE and inside < 0.05,
                  f"{level}, and {feature} {mode}, {max(inside, 0) * 1000:.0f} ms after the drill "
                  f"began, shown after {took:.2f} s")


def count_sources(answers, *sources):
    return sum(answer.source in sources for answer in answers)


def tell_report(story, report, service, answers):
    level, (feature, wanted), strategy = DRILLS[service]
    modes = {name: mode["to"] for name, mode in report["features"].items()}
    used = [(one["strategy"], one["reason"], one["count"],
             f"P95 {one['p95_seconds'] * 1000:g} ms") for one in report["fallbacks"]]
    story.promise(report["cause"] == "expired" and abs(report["duration_seconds"] - SECONDS) < 0.5,
                  f"it ended by itself after {report['duration_seconds']:.1f} s")
    story.promise(report["level"]["worst"] == level and modes.get(feature) == wanted,
                  f"the report tells the level {report['level']['worst']} and the gates: "
                  + ", ".join(f"{name} {mode}" for name, mode in modes.items()))
    seen = count_sources(answers, "cache", "stale") if service == "database" else (
        count_sources(answers, "rule"))
    by_drill = sum(one["count"] for one in report["fallbacks"]
                   if (one["strategy"], one["reason"]) == (strategy, "drill"))
    if strategy is None:
        story.promise(not used and seen == 0, "nobody needed a fallback, and the report names none")
    else:
        # Those under way at the beginning and the end may be on either side.
        story.promise(seen > 0 and abs(by_drill - seen) <= max(3, seen // 5),
                      f"the fallbacks of the report are those that the user saw, {seen}: {used}")
    refused = count_sources(answers, "refused")
    story.promise(abs(report["answers"]["refused"] - refused) <= (3 if refused else 0),
                  f"without any answer: {report['answers']['refused']} by the report, and "
                  f"{refused} by the user")


def tell_one(story, service):
    story.client.take()  # what was wrong before is told with what comes
    drill = Drill(story, service, SECONDS)
    tell_begin(story, drill, service)
    report = drill.report()
    failed = story.get("/circuit-breakers")[service]["last_failure_time"] or 0
    answers = story.tell_user()
    tell_report(story, report, service, answers)
    story.promise(not report["since"] + LATE < failed < report["ended"],
                  f"nothing of it counted as a failure of {service}")
    status = story.watch_level("optimal", 10)
    took = story.changed_to("optimal", status) - report["ended"]
    story.promise(status["level"] == "optimal" and 0 < took < AT_THE_TICK,
                  f"optimal {took:.1f} s later, at the recovery tick")


def tell_killed(story):
    drill = Drill(story, "database", 60)
    tell_begin(story, drill, "database")
    time.sleep(1)
    drill.kill()
    killed = time.time()
    story.say("deratectl: killed")
    deadline = time.monotonic() + 5
    while story.status()["drills"] and time.monotonic() < deadline:
        time.sleep(0.02)
    gone = time.time() - killed
    status = story.watch_level("optimal", 10)
    took = story.changed_to("optimal", status) - killed
    story.promise(gone < AT_ONCE and status["level"] == "optimal" and took < AT_THE_TICK,
                  f"the drill ended with it, {gone:.2f} s later, and the level was optimal after "
                  f"{took:.1f} s")
    story.tell_user()


def tell_drills(story):
    story.chapter("5. A drill of each service, while the backends are whole; another is killed")
    for service in DRILLS:
        tell_one(story, service)
    tell_killed(story)
