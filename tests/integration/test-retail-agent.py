#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The retail agent: what it answers while its real backends are whole, stopped and frozen."""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True

import agentworld
import taprunner

DUMPS = {"status": "/degradation", "breakers": "/circuit-breakers", "health": "/health"}
# What AddressSanitizer keeps of freed memory would pass for growth.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
MOVING = re.compile(r'"(age_seconds|next_tick_seconds|remaining_seconds|time_in_current_state|'
                    r'retry_after_seconds)":[0-9.e+-]+|"time":"[^"]*"')
BAD_BODIES = ("", "{", "[]", "null", '"x"', "{}", '{"item":"x"}', '{"price":1}',
              '{"item":1,"price":1}', '{"item":"x","price":"1"}', '{"item":"x","price":-1}',
              '{"item":"x","price":null}', '{"item":"x","price":1e400}', '{"item":null,"price":1}',
              '{"item":["x"],"price":1}', '{"item":"x","price":{}}', "\xff\xfe",
              '{"item":"\\ud800x","price":1}', '{"item":"x","price":1.7e308}',
              # The parser would read 8, 16, a half, “a” and “x”.
              '{"item":"x","price":010}', '{"item":"x","price":0x10}',
              '{"item":"x","price":.5}', '{"item":"a\\u0000b","price":1}',
              '{"item":"\\x","price":1}', '{"item":"x","price":99999999999999999999999}',
              '{"item":"x","price":1,"z":' + "[" * 20000 + "]" * 20000 + "}")


class AgentTest(unittest.TestCase):
    """Each case begins and ends at optimal, with all backends whole."""

    @classmethod
    def setUpClass(cls):
        cls.world = agentworld.World()
        cls.world.await_level("optimal")

    @classmethod
    def tearDownClass(cls):
        cls.world.end()

    def tearDown(self):
        if self.world.stack.agent.poll() is None:
            self.world.heal()

    def ask_in_time(self, ask, times):
        """Answers that are neither late nor a 500."""
        with agentworld.Hiccups() as hiccups:
            answers = [ask() for _ in range(times)]
        for answer in answers:
            self.assertLess(answer.seconds, agentworld.SLOWEST + hiccups.worst, answer.text)
            self.assertIn(answer.status, (200, 503), answer.text)
        return answers

    def check_degraded(self, answer, sources, reasons):
        self.assertEqual(answer.status, 200, answer.text)
        self.assertIs(answer.json["degraded"], True)
        self.assertIn(answer.json["source"], sources)
        self.assertIn(answer.json["reason"], reasons)
        self.assertGreaterEqual(answer.json["age_seconds"], 0)

    def check_dumps(self):
        for what, path in DUMPS.items():
            for _ in range(5):  # a check may have ended between the two
                over_http = MOVING.sub("", self.world.ask(path).text)
                over_bus = MOVING.sub("", self.world.dump(what))
                if over_http == over_bus:
                    break
            self.assertEqual(over_http, over_bus)

    def test_a_price(self):
        self.assertEqual(self.world.price(1).text, '{"id":1,"name":"olive oil, 1 l","price":9.5,'
                                                   '"degraded":false,"source":"database"}')
        self.assertEqual(self.world.price(2).json["price"], 1.8)

    def test_prices_refused(self):
        for path, status in (("/prices/x", 400), ("/prices/", 400), ("/prices", 400),
                             ("/prices/1x", 400), ("/prices/-1", 400), ("/prices/1/2", 400),
                             ("/prices/99999999999", 400), ("/prices/1;drop", 400),
                             ("/prices/%31", 200), ("/prices/1%00", 400), ("/prices/999999", 404),
                             ("/prices/0", 404), ("/nowhere", 404)):
            answer = self.world.ask(path)
            self.assertEqual(answer.status, status, path)
            if path not in ("/nowhere", "/prices/1%00", "/prices/%31"):
                self.assertEqual(list(answer.json), ["error"], path)
        self.assertEqual(self.world.ask("/prices/1", "POST", "{}").status, 405)

    def test_pricing(self):
        self.assertEqual(self.world.work_out("lamp", 100).text,
                         '{"item":"lamp","price":120,"degraded":false,"source":"openai"}')
        self.assertEqual(self.world.work_out('a "b" \u00e9\n', 2.5).json["item"], 'a "b" \u00e9\n')

    def test_pricing_refused(self):
        for body in BAD_BODIES:
            answer = self.world.ask("/ai/pricing", "POST", body.encode("latin-1"))
            self.assertEqual((answer.status, list(answer.json)), (400, ["error"]), body)
        self.assertEqual(self.world.ask("/ai/pricing").status, 405)

    def test_long_bodies(self):
        """Refused, and not kept: however much comes, the agent does not grow."""
        def size():
            status = pathlib.Path(f"/proc/{self.world.stack.agent.pid}/status").read_text()
            return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
        part = b"[" * 65536
        self.assertEqual(self.world.ask("/ai/pricing", "POST", b" " * 65536).status, 400)
        before = size()
        for body in (part * 800, (part for _ in range(800))):
            answer = self.world.ask("/ai/pricing", "POST", body)
            self.assertEqual((answer.status, list(answer.json)), (413, ["error"]))
        self.assertLess(size() - before, 16 * 1024)

    def test_no_descriptor_is_lost(self):
        def count():
            return len(list(pathlib.Path(f"/proc/{self.world.stack.agent.pid}/fd").iterdir()))
        self.world.price()
        before = count()
        for path in ("/prices/1", "/prices/x", "/nowhere", "/metrics", "/health") * 8:
            self.world.ask(path)
        self.world.work_out()
        self.assertLess(count() - before, 10)

    def test_metrics(self):
        answer = self.world.ask("/metrics")
        self.assertEqual(answer.headers["Content-Type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        for series in ('circuit_breaker_state{name="s3"} 0', "degradation_level 1",
                       'service_health_status{service="redis"} 1',
                       'circuit_breaker_fallback_used_total{', "process_cpu_seconds_total "):
            self.assertIn(f"\n{series}", answer.text)
        checked = subprocess.run(["promtool", "check", "metrics"], input=answer.text, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((checked.returncode, checked.stdout), (0, ""))

    def test_surfaces(self):
        health = self.world.ask("/health")
        self.assertEqual((health.status, health.json["status"]), (200, "pass"))
        self.assertEqual(set(health.json["checks"]), {"database", "redis", "openai", "s3"})
        status = self.world.ask("/degradation").json
        self.assertEqual((status["name"], status["level"]), ("retail-agent", "optimal"))
        for name in ("database", "redis", "openai", "s3"):
            service = self.world.ask(f"/health/{name}")
            self.assertEqual((service.status, service.json["status"]), (200, "healthy"), name)
            self.assertLess(service.json["age_seconds"], 10)
        self.assertEqual(self.world.ask("/health/database").json["write_mode"], "enabled")
        self.assertEqual(self.world.ask("/health/ready").status, 200)
        self.check_dumps()
        self.assertIn(agentworld.ROOT_PATH + "/service/database", self.world.look_at_all_objects())

    def test_redis_stopped(self):
        self.world.injure("stop", "redis")
        answers = self.ask_in_time(self.world.price, 10)
        for answer in answers:
            self.assertEqual(answer.json["source"], "database")
        self.world.await_level("degraded")
        self.assertEqual(self.world.ask("/health/redis").status, 503)
        self.assertEqual(self.world.ask("/health").json["status"], "warn")
        self.check_dumps()

    def test_openai_frozen(self):
        self.world.injure("freeze", "openai")
        for answer in self.ask_in_time(self.world.work_out, 10):
            self.check_degraded(answer, ("rule",), ("timeout", "open", "level"))
            self.assertEqual(answer.json["price"], 130)
        self.assertEqual(self.world.level(), "degraded")
        self.assertIn(self.world.work_out().json["reason"], ("open", "level"))
        self.assertEqual(self.world.price().json["degraded"], False)
        self.check_dumps()

    def test_openai_floods(self):
        """Answers that never come to the point: the loop goes on."""
        host = self.world.stack.servers.uris["openai"].rpartition("@")[2].partition("/")[0]

        def misbehave(fault):
            control = http.client.HTTPConnection(host, timeout=60)
            control.request("POST", "/control", json.dumps(fault))
            self.assertEqual(control.getresponse().status, 200)
            control.close()
        for fault in ("interim", "packed", "endless"):
            misbehave({fault: True, "path": "/v1/chat"})
            try:
                self.check_degraded(*self.ask_in_time(self.world.work_out, 1), ("rule",),
                                    ("timeout", "error"))
            finally:
                misbehave({})

    def test_database_frozen(self):
        self.world.price(3)
        self.world.injure("freeze", "postgresql")
        answers = self.ask_in_time(lambda: self.world.price(3), 10)
        for answer in answers:
            self.check_degraded(answer, ("cache",), ("timeout", "open"))
            self.assertEqual((answer.json["name"], answer.json["price"]), ("coffee, 500 g", 6.25))
        self.assertEqual(answers[0].json["reason"], "timeout")
        self.assertEqual(answers[-1].json["reason"], "open")
        self.assertEqual(self.world.level(), "minimal")
        self.assertEqual(self.world.ask("/health/database").json["write_mode"], "disabled")
        self.assertEqual(self.world.price(499).status, 503)  # nobody has a copy of it
        self.check_dumps()

    def test_fallbacks_are_counted(self):
        """What answered, why and how often; and each request once, however it was answered."""
        def used(strategy, reason):
            return self.world.metric("circuit_breaker_fallback_used_total", name="database",
                                     strategy=strategy, reason=reason)

        def observed(strategy):
            return self.world.metric("fallback_duration_seconds_count", name="database",
                                     strategy=strategy)
        reals, others = self.world.price(4), []
        self.world.spoil_copy(4)
        asked = self.world.metric("degradation_answers_total")
        before = [used("redis-copy", "timeout"), used("redis-copy", "open"),
                  used("cached", "open"), observed("redis-copy")]
        self.world.price(3)
        self.world.injure("freeze", "postgresql")
        others = self.ask_in_time(lambda: self.world.price(3), 5)
        self.check_degraded(self.world.price(4), ("stale",), ("open",))
        self.assertEqual(reals.json["source"], "database")
        self.assertEqual([answer.json["reason"] for answer in others],
                         ["timeout"] * 3 + ["open"] * 2)
        self.assertEqual([used("redis-copy", "timeout"), used("redis-copy", "open"),
                          used("cached", "open"), observed("redis-copy")],
                         [before[0] + 3, before[1] + 2, before[2] + 1, before[3] + 6])
        self.assertEqual(self.world.metric("degradation_answers_total"), asked + 7)

    def test_what_is_not_there_is_not_kept(self):
        self.assertEqual(self.world.price(999999).status, 404)
        self.world.injure("freeze", "postgresql")
        self.assertEqual(self.world.price(999999).status, 503)

    def test_answer_budget(self):
        """A half of it for the database, then a quarter for Redis; all of it for OpenAI."""
        self.assertEqual(self.world.price(3).json["degraded"], False)
        for name in ("postgresql", "redis", "openai"):
            self.world.injure("freeze", name)
        for ask, source, share in ((lambda: self.world.price(3), "stale", 0.75),
                                   (self.world.work_out, "rule", 1)):
            answer = self.ask_in_time(ask, 1)[0]
            self.check_degraded(answer, (source,), ("timeout",))
            self.assertGreaterEqual(answer.took, share * agentworld.BUDGET)

    def test_database_and_redis_stopped(self):
        self.world.price(3)
        self.world.injure("stop", "redis")
        self.world.injure("stop", "postgresql")
        answers = self.ask_in_time(lambda: self.world.price(3), 12)
        self.check_degraded(answers[0], ("stale",), ("error", "timeout"))
        self.world.await_level("emergency")
        for answer in self.ask_in_time(self.world.price, 3):
            self.assertEqual((answer.status, answer.json), (503, {"status": "system_degraded"}))
            self.assertGreater(int(answer.headers["Retry-After"]), 0)
        self.assertEqual(self.world.work_out().status, 503)
        self.assertEqual(self.world.ask("/health").status, 503)
        self.assertEqual(self.world.ask("/health/ready").status, 200)
        self.assertEqual(self.world.ask("/metrics").status, 200)
        self.check_dumps()

    def test_all_frozen(self):
        for name in ("postgresql", "redis", "openai", "s3"):
            self.world.injure("freeze", name)
        self.ask_in_time(self.world.price, 6)
        self.ask_in_time(self.world.work_out, 6)
        self.ask_in_time(lambda: self.world.ask("/metrics"), 2)
        self.ask_in_time(lambda: self.world.ask("/health"), 2)

    def test_many_at_once_while_the_database_is_frozen(self):
        """More than there are connections: nobody waits for a connection that never comes."""
        self.world.injure("freeze", "postgresql")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.world.price(1)))
                   for _ in range(40)]
        with agentworld.Hiccups() as hiccups:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(len(answers), 40)
        for answer in answers:
            self.assertIn(answer.status, (200, 503))
            # Forty threads of this test wait for each other, too.
            self.assertLess(answer.seconds, 2 * agentworld.SLOWEST + hiccups.worst)

    def check_held(self):
        """The rule answers, as many at once as come, and OpenAI is not asked."""
        def asked():
            return self.world.ask("/circuit-breakers").json["openai"]["total_requests"]

        def used():
            return self.world.metric("circuit_breaker_fallback_used_total", name="openai",
                                     strategy="degraded", reason="hold")
        before = asked(), used()
        self.check_degraded(self.world.work_out(), ("rule",), ("hold",))
        connections = [http.client.HTTPConnection("127.0.0.1", self.world.port.number, timeout=60)
                       for _ in range(40)]
        for connection in connections:
            connection.connect()
        self.world.price()  # they have been let in when it is answered
        os.kill(self.world.stack.agent.pid, signal.SIGSTOP)
        try:
            for price, connection in enumerate(connections):
                connection.request("POST", "/ai/pricing", json.dumps({"item": "x", "price": price}))
        finally:
            os.kill(self.world.stack.agent.pid, signal.SIGCONT)
        for price, connection in enumerate(connections):
            body = json.loads(connection.getresponse().read())
            connection.close()
            self.assertEqual((body.get("source"), body.get("reason")), ("rule", "hold"), body)
            self.assertAlmostEqual(body["price"], price * 1.3)
        self.assertEqual((asked(), used()), (before[0], before[1] + 41))

    def test_hold(self):
        arguments = agentworld.GLib.Variant("(ssssta{sv})", ("minimal", "at-least", "ana",
                                                             "maintenance", 60000000, {}))
        self.world.call(agentworld.ROOT_PATH, "org.derate.Derate1.Admin", "Hold", arguments)
        self.assertEqual(self.world.level(), "minimal")
        answer = self.world.price()
        self.check_degraded(answer, ("database",), ("hold",))
        self.check_held()
        page = self.world.ask("/degradation").json
        self.assertEqual((page["level"], page["computed_level"]), ("minimal", "optimal"))
        self.assertEqual(page["holds"][0]["reason"], "maintenance")
        self.check_dumps()

    def test_y_no_secret_was_told(self):
        """Over all that the cases before have seen, and what the agent wrote."""
        self.world.look_at_all_objects()
        self.world.ask("/metrics")
        log = (self.world.stack.folder / "log").read_text(encoding="utf-8")
        self.assertIn("service redis: down", log)
        self.assertGreater(len(self.world.seen), 100)
        for secret in (agentworld.PASSWORD, "derate-example-key", "derate-example-secret"):
            self.assertNotIn(secret, log)
            for text in self.world.seen:
                self.assertNotIn(secret, text)

    def test_z_term_ends_it_after_what_is_under_way(self):
        self.world.injure("freeze", "openai")
        connection = http.client.HTTPConnection("127.0.0.1", self.world.port.number, timeout=60)
        connection.request("POST", "/ai/pricing", json.dumps({"item": "lamp", "price": 100}))
        self.assertEqual(self.world.ask("/health/ready").status, 200)
        self.world.stack.agent.send_signal(signal.SIGTERM)
        response = connection.getresponse()
        self.assertEqual((response.status, json.loads(response.read())["price"]), (200, 130))
        connection.close()
        self.assertEqual(self.world.ask("/health/ready").status, 503)
        self.assertEqual(self.world.stack.agent.wait(10), 0)


if __name__ == "__main__":
    taprunner.main()
