#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The retail agent while a drill pretends that one of its services is down, or slow: its backends
are whole all the time."""
import itertools
import sys
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True

import agentworld
import taprunner
from agentworld import GLib

SECOND = 1000000
ADMIN = "org.derate.Derate1.Admin"
LONG = 60
TIMES = 5

# Of a drill that says `down`: the level and the rule, what became of features, and where a price
# and one that is worked out come from, and why.
DOWN = {
    "database": ("minimal", "database-limited", {"writes": "off", "ai": "off"},
                 ("cache", "drill"), ("rule", "level")),
    "redis": ("degraded", "dependency-down", {"cache": "off"},
              ("database", None), ("openai", None)),
    "openai": ("degraded", "dependency-down", {"ai": "off"},
               ("database", None), ("rule", "drill")),
    "s3": ("degraded", "dependency-down", {"uploads": "queued"},
           ("database", None), ("openai", None)),
}
STRATEGIES = {"database": "redis-copy", "openai": "degraded"}


class DrillTest(unittest.TestCase):
    """Each case begins and ends at optimal."""

    @classmethod
    def setUpClass(cls):
        cls.world = agentworld.World()
        cls.world.await_level("optimal")
        cls.world.price(3)

    @classmethod
    def tearDownClass(cls):
        cls.world.end()

    def setUp(self):
        self.held_up = 0  # this machine, at most, while answers were waited for

    def tearDown(self):
        for drill in self.drills():
            self.stop(drill["id"])
        self.world.heal()

    def drills(self):
        return self.world.ask("/degradation").json["drills"]

    def begin(self, service, seconds=LONG, fault=None, bus=None):
        fault = fault or {"down": GLib.Variant("b", True)}
        arguments = GLib.Variant("(sa{sv}ta{sv})", (service, fault, seconds * SECOND,
                                                    {"reason": GLib.Variant("s", "a test")}))
        if bus is None:
            return self.world.call(agentworld.ROOT_PATH, ADMIN, "Drill", arguments)[0]
        return bus.call_sync(agentworld.BUS_NAME, agentworld.ROOT_PATH, ADMIN, "Drill", arguments,
                             None, agentworld.Gio.DBusCallFlags.NONE, 60000, None).unpack()[0]

    def stop(self, drill):
        return self.world.call(agentworld.ROOT_PATH, ADMIN, "StopDrill",
                               GLib.Variant("(s)", (drill,)))[0]

    def ask_in_time(self, ask, at_once=1):
        with agentworld.Hiccups() as hiccups, ThreadPoolExecutor(at_once) as threads:
            answers = list(threads.map(lambda _: ask(), range(TIMES)))
        self.held_up = max(self.held_up, hiccups.worst)
        for answer in answers:
            self.assertLess(answer.seconds, agentworld.SLOWEST + hiccups.worst, answer.text)
        return [(answer.json.get("source"), answer.json.get("reason")) for answer in answers]

    def check_down(self, service):
        level, rule, features, price, pricing = DOWN[service]
        before = self.world.ask("/circuit-breakers").json[service]
        drill = self.begin(service)
        page = self.world.ask("/degradation").json
        self.assertEqual((page["level"], page["rule"]), (level, rule))
        self.assertEqual({name: page["features"][name]["mode"] for name in features}, features)
        self.assertEqual([(one["id"], one["service"]) for one in page["drills"]],
                         [(drill, service)])
        self.assertEqual(self.world.ask(f"/health/{service}").json["cause"], "drill")

        self.assertEqual(self.ask_in_time(lambda: self.world.price(3)), [price] * TIMES)
        self.assertEqual(self.ask_in_time(self.world.work_out), [pricing] * TIMES)
        report = self.stop(drill)
        self.check_report(report, service)
        # It was never the service.
        after = self.world.ask("/circuit-breakers").json[service]
        self.assertEqual(after["failed_requests"], before["failed_requests"])
        self.assertEqual(after["state"], "closed")
        self.assertEqual(self.world.ask(f"/health/{service}").json["status"], "healthy")
        self.world.await_level("optimal")
        self.assertEqual(self.world.price(3).json["source"], "database")
        self.assertEqual(self.world.work_out().json["source"], "openai")

    def check_report(self, report, service):
        level, rule, features, price, pricing = DOWN[service]
        self.assertEqual((report["service"], report["fault"], report["cause"]),
                         (service, "down", "stopped"))
        self.assertEqual((report["level"]["before"], report["level"]["worst"],
                          report["level"]["rule"]), ("optimal", level, rule))
        for name, mode in features.items():
            self.assertEqual(report["features"][name], {"from": "on", "to": mode})
        drilled = STRATEGIES.get(service)
        self.assertEqual([(one["strategy"], one["reason"], one["count"])
                          for one in report["fallbacks"]],
                         [(drilled, "drill", TIMES)] if drilled else [])
        for one in report["fallbacks"]:
            self.assertLess(0, one["mean_seconds"])
            self.assertLessEqual(one["mean_seconds"], 0.05 + self.held_up)
        fallbacks = TIMES * sum(reason is not None for _source, reason in (price, pricing))
        self.assertEqual(report["answers"],
                         {"real": 2 * TIMES - fallbacks, "fallback": fallbacks, "refused": 0})

    def test_database(self):
        self.check_down("database")

    def test_redis(self):
        self.check_down("redis")

    def test_openai(self):
        self.check_down("openai")

    def test_s3(self):
        self.check_down("s3")

    def test_what_had_no_answer(self):
        """Nobody has a copy of that price."""
        drill = self.begin("database")
        self.assertEqual(self.world.price(498).status, 503)
        report = self.stop(drill)
        self.assertEqual(report["answers"], {"real": 0, "fallback": 0, "refused": 1})
        self.assertGreater(report["fallback_failures"], 0)

    def test_slow(self):
        """As a slow service: the budget is kept, and its breaker opens."""
        drill = self.begin("openai", fault={"latency": GLib.Variant("t", 2 * SECOND)})
        # One after the other, checks would find it to be slow before.
        prices = itertools.count(1)
        self.assertEqual(self.ask_in_time(lambda: self.world.work_out(price=next(prices)), TIMES),
                         [("rule", "timeout")] * TIMES)
        self.assertEqual(self.world.level(), "degraded")
        self.assertEqual(self.world.ask("/circuit-breakers").json["openai"]["state"], "open")
        used = {one["reason"]: one for one in self.stop(drill)["fallbacks"]}
        self.assertEqual(used["timeout"]["count"], TIMES)
        # Without what it waited for.
        self.assertLess(used["timeout"]["p95_seconds"], agentworld.BUDGET)

    def test_it_ends_by_itself(self):
        """And everybody is answered all the time."""
        drill = self.begin("database", seconds=1)
        answers = []

        def ask():
            while self.drills():
                answers.append(self.world.price(3))
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreater(len(answers), 0)
        self.assertEqual({answer.status for answer in answers}, {200})
        report = self.stop(drill)
        self.assertEqual(report["cause"], "expired")
        self.assertGreaterEqual(report["duration_seconds"], 1)
        self.assertLess(report["duration_seconds"], LONG)

    def test_it_ends_with_who_began_it(self):
        flags = agentworld.Gio.DBusConnectionFlags
        bus = agentworld.Gio.DBusConnection.new_for_address_sync(
            self.world.stack.bus, flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION,
            None, None)
        self.begin("database", bus=bus)
        self.assertEqual(self.world.level(), "minimal")
        bus.close_sync(None)
        self.world.await_level("optimal")
        self.assertEqual(self.drills(), [])


if __name__ == "__main__":
    taprunner.main()
