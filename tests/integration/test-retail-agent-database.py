#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The retail agent's reads, writes and transactions, with its database whole, read-only, frozen and
killed."""
import json
import os
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

sys.dont_write_bytecode = True

import agentworld
import taprunner
from agentworld import GLib
from rowlock import RowLock

ADMIN = "org.derate.Derate1.Admin"
REFUSED = {"error": "Write operations unavailable", "message": "Database temporarily down",
           "action": "Try again later"}
OPEN = {"error": "Write not confirmed", "message": "It may have been done, or not at all",
        "action": "Look before you try again"}
EMERGENCY = {"status": "system_degraded"}
MARKS = {"degraded", "source", "reason", "age_seconds"}

# What is wrong with an address, and the status; the text holds no more than `error`.
BAD_READS = (
    ("", 400), ("?", 400), ("?query", 400), ("?query=", 404), ("?query=nothing", 404),
    ("?query=set-price&id=1&price=2", 404), ("?query=SELECT%201", 404), ("?id=1", 400),
    ("?query=product", 400), ("?query=product&id=", 400), ("?query=product&id=x", 400),
    ("?query=product&id=1.0", 400), ("?query=product&id=1e0", 400), ("?query=product&id=01", 400),
    ("?query=product&id=0x1", 400), ("?query=product&id=+1", 400), ("?query=product&id=1%20", 400),
    ("?query=product&id=2147483648", 400), ("?query=product&id=-2147483649", 400),
    ("?query=product&id=99999999999999999999", 400), ("?query=product&id=%221%22", 400),
    ("?query=product&id=null", 400), ("?query=product&id=[1]", 400), ("?query=product&id={}", 400),
    ("?query=product&id=1%3BDROP", 400), ("?query=product&id=1&id=2", 400),
    ("?query=product&query=sale&id=1", 400), ("?query=product&id=1&x=2", 400),
    ("?query=product&id=1&=", 400), ("?query=product&ID=1", 400),
    ("?query=sale&sale=%ff", 400), ("?query=sale&sale=%00", 400), ("?query=%ff&sale=1", 400),
    ("?query=sale&%ff=1", 400),
    ("?query=product&id=" + "[" * 5000, 400), ("?query=" + "a" * 5000, 404),
    ("?query=sales-of-day&day=someday", 400), ("?query=sales-of-day&day=", 400),
    ("?query=sales-of-day&day=2026-02-30", 400), ("?query=products&name=a&limit=-1", 400),
    ("/?query=product&id=1", 404), ("/x", 404),
)
BAD_WRITES = (
    ("", 400), ("{", 400), ("[]", 400), ("null", 400), ('"set-price"', 400), ("{}", 400),
    ('{"sql":"DELETE FROM product"}', 400), ('{"statement":null}', 400), ('{"statement":1}', 400),
    ('{"statement":["set-price"]}', 400), ('{"statement":"nothing"}', 404),
    ('{"statement":"product","parameters":{"id":1}}', 404), ('{"statement":"\\ud800"}', 400),
    ('{"statement":"DELETE FROM product"}', 404), ('{"statement":"set-price"}', 400),
    ('{"statement":"set-price","parameters":null}', 400),
    ('{"statement":"set-price","parameters":[1,2]}', 400),
    ('{"statement":"set-price","parameters":{}}', 400),
    ('{"statement":"set-price","parameters":{"id":1}}', 400),
    ('{"statement":"set-price","parameters":{"id":1,"price":2,"x":3}}', 400),
    ('{"statement":"set-price","parameters":{"id":1,"price":2,"\\ud800":3}}', 400),
    ('{"statement":"set-price","parameters":{"id":"1","price":2}}', 400),
    ('{"statement":"set-price","parameters":{"id":1.0,"price":2}}', 400),
    ('{"statement":"set-price","parameters":{"id":true,"price":2}}', 400),
    ('{"statement":"set-price","parameters":{"id":null,"price":2}}', 400),
    ('{"statement":"set-price","parameters":{"id":4294967297,"price":2}}', 400),
    ('{"statement":"set-price","parameters":{"id":18446744073709551617,"price":2}}', 400),
    ('{"statement":"set-price","parameters":{"id":010,"price":2}}', 400),
    ('{"statement":"set-price","parameters":{"id":1,"price":"2"}}', 400),
    ('{"statement":"set-price","parameters":{"id":1,"price":1e999}}', 400),
    ('{"statement":"set-price","parameters":{"id":1,"price":NaN}}', 400),
    ('{"statement":"set-price","parameters":{"id":1,"price":[]}}', 400),
    ('{"statement":"record-sale","parameters":{"sale":1}}', 400),
    ('{"statement":"record-sale","parameters":{"sale":"a\\u0000b"}}', 400),
    ('{"statement":"record-sale","parameters":{"sale":"\\udc00"}}', 400),
    ('{"statement":"record-sale","parameters":{"sale":"\xff"}}', 400),
    ('{"statement":"set-price","parameters":{"id":1,"price":' + "[" * 20000 + "}}", 400),
)
# By what the database says: SQLSTATE classes 22 and 23.
VIOLATIONS = (
    ("record-sale", {"sale": ""}, 409), ("set-price", {"id": 1, "price": -1}, 409),
    ("take-stock", {"id": 1, "quantity": 100000}, 409),
    ("record-line", {"sale": "none", "product": 1, "quantity": 1}, 409),
    ("set-price", {"id": 1, "price": 1e300}, 400),
    ("take-stock", {"id": 1, "quantity": -2147483648}, 400),
)


def operation(statement, **parameters):
    return {"statement": statement, "parameters": parameters}


class DatabaseTest(unittest.TestCase):
    """Each case begins and ends at optimal, with all backends whole."""

    @classmethod
    def setUpClass(cls):
        cls.world = agentworld.World()
        cls.world.await_level("optimal")

    @classmethod
    def tearDownClass(cls):
        cls.world.end()

    def tearDown(self):
        self.world.heal()

    # Asking

    def read(self, query, **parameters):
        words = urllib.parse.urlencode({"query": query, **parameters})
        return self.world.ask(f"/db/read?{words}")

    def rows(self, query, **parameters):
        answer = self.read(query, **parameters)
        self.assertEqual((answer.status, answer.json["degraded"]), (200, False), answer.text)
        return answer.json["rows"]

    def write(self, statement, **parameters):
        return self.world.ask("/db/write", "POST", json.dumps(operation(statement, **parameters)))

    def transact(self, *operations):
        return self.world.ask("/db/transaction", "POST", json.dumps({"operations": operations}))

    def sell(self, sale, *products):
        """A transaction that takes one piece of each."""
        return self.transact(operation("record-sale", sale=sale),
                             *(operation("take-stock", id=product, quantity=1)
                               for product in products),
                             *(operation("record-line", sale=sale, product=product, quantity=1)
                               for product in products))

    def psql(self, sql):
        done = subprocess.run(["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                               "--command", sql, self.world.stack.servers.uris["postgresql"]],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**os.environ,
                                   "PGOPTIONS": "-c default_transaction_read_only=off"})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def stock(self, *products):
        return [int(self.psql(f"SELECT stock FROM product WHERE id = {product}"))
                for product in products]

    def check_mistake(self, answer, status, text):
        self.assertTrue(answer.text.startswith('{"error":"'), f"{text}: {answer.text}")
        self.assertEqual((answer.status, list(answer.json)), (status, ["error"]),
                         f"{text}: {answer.text}")
        self.assertLess(len(answer.text), 1000)

    def check_refused(self, answer, *bodies):
        self.assertEqual(answer.status, 503, answer.text)
        self.assertIn(answer.json, bodies)
        self.assertGreater(int(answer.headers["Retry-After"]), 0)

    def check_marked(self, answer, source, *reasons):
        self.assertEqual((answer.status, answer.json.get("degraded")), (200, True), answer.text)
        self.assertEqual(set(answer.json) - {"rows"}, MARKS)
        self.assertEqual(answer.json["source"], source)
        self.assertIn(answer.json["reason"], reasons)

    def write_mode(self):
        return self.world.ask("/health/database").json["write_mode"]

    def breaker(self):
        return self.world.ask("/circuit-breakers/database").json

    def hold(self, level):
        self.world.call(agentworld.ROOT_PATH, ADMIN, "Hold", GLib.Variant(
            "(ssssta{sv})", (level, "at-least", "ana", "maintenance", 60000000, {})))

    # All is well

    def test_read(self):
        self.assertEqual(self.read("product", id=2).text,
                         '{"rows":[{"id":2,"name":"rice, 1 kg","price":1.8,"stock":1000}],'
                         '"degraded":false}')
        self.assertEqual(self.read("product", id=-1).text, '{"rows":[],"degraded":false}')
        self.assertEqual(self.rows("sales-of-day", day="2000-01-01"),
                         [{"sales": 0, "pieces": None}])

    def test_read_parameters(self):
        self.assertEqual(len(self.rows("products", name="product")), 20)
        self.assertEqual(len(self.rows("products", name="product", limit="null")), 20)
        self.assertEqual([row["id"] for row in self.rows("products", name="oil, 1 l", limit=5)],
                         [1])
        for text in ("'; DROP TABLE product; --", "$1", "\\", "\u00e9 \U0001f600\n", "1", "null"):
            self.assertEqual(self.rows("products", name=text, limit=1),
                             self.rows("products", name="1", limit=1) if text == "1" else [], text)

    def test_reads_refused(self):
        for words, status in BAD_READS:
            self.check_mistake(self.world.ask("/db/read" + words), status, words)
        self.assertEqual(self.world.ask("/db/read?query=sale&sale=%zz").status, 400)
        self.assertEqual(self.world.ask("/db/read?query=product&id=1", "POST", "{}").status, 405)
        self.assertEqual(self.breaker()["failure_count"], 0)

    def test_write(self):
        self.assertEqual(self.write("set-price", id=10, price=12.5).text, '{"affected":1}')
        self.assertEqual(self.rows("product", id=10)[0]["price"], 12.5)
        self.assertEqual(self.write("set-price", id=10, price=3).text, '{"affected":1}')
        self.assertEqual(self.rows("product", id=10)[0]["price"], 3)
        self.assertEqual(self.write("set-price", id=-10, price=3).text, '{"affected":0}')
        text = "'; DELETE FROM sale; -- \u00e9 \U0001f600 \\ \n"
        self.assertEqual(self.write("record-sale", sale=text).text, '{"affected":1}')
        self.assertEqual(self.psql("SELECT count(*) FROM sale WHERE id LIKE '%DELETE%\u00e9%'"), "1")

    def test_writes_refused(self):
        before = self.psql("SELECT sum(price), count(*) FROM product")
        for body, status in BAD_WRITES:
            for path, text in (("/db/write", body),
                               ("/db/transaction", '{"operations":[%s]}' % body)):
                answer = self.world.ask(path, "POST", text.encode("latin-1"))
                if body == "" and path == "/db/transaction":
                    status = 400
                self.check_mistake(answer, status, text[:200])
        for path in ("/db/write", "/db/transaction"):
            self.assertEqual(self.world.ask(path).status, 405)
            self.check_mistake(self.world.ask(path + "/x", "POST", "{}"), 404, path)
        self.assertEqual(self.psql("SELECT sum(price), count(*) FROM product"), before)

    def test_transactions_refused(self):
        one = operation("take-stock", id=20, quantity=1)
        bad = [{}, {"operations": None}, {"operations": {}}, {"operations": []},
               {"operations": [one] * 101}, {"operations": [one, 1]}, {"operations": [one, []]},
               {"operations": [one, operation("take-stock", id=20)]}, one]
        for body in bad:
            self.check_mistake(self.world.ask("/db/transaction", "POST", json.dumps(body)), 400,
                               str(body)[:200])
        answer = self.transact(one, operation("nothing"))
        self.assertEqual((answer.status, answer.json),
                         (404, {"error": "operation 2: no statement “nothing”"}))
        self.assertEqual(self.stock(20), [1000])
        self.assertEqual(self.transact(*[one] * 100).json, {"affected": [1] * 100})
        self.assertEqual(self.stock(20), [900])

    def test_transaction(self):
        self.assertEqual(self.sell("s1", 30, 31).text, '{"affected":[1,1,1,1,1]}')
        self.assertEqual(self.rows("sale", sale="s1"), [{"product": 30, "quantity": 1},
                                                       {"product": 31, "quantity": 1}])
        self.assertEqual(self.stock(30, 31), [999, 999])

    def test_transaction_undone(self):
        """Whichever operation fails, nothing of the others is left."""
        good = [operation("record-sale", sale="s2"), operation("take-stock", id=40, quantity=1),
                operation("record-line", sale="s2", product=40, quantity=1)]
        bad = operation("take-stock", id=41, quantity=5000)
        for place in range(4):
            answer = self.transact(*good[:place], bad, *good[place:])
            self.check_mistake(answer, 409, place)
        self.assertEqual(self.rows("sale", sale="s2"), [])
        self.assertEqual((self.stock(40, 41), self.psql("SELECT count(*) FROM sale "
                                                        "WHERE id = 's2'")), ([1000, 1000], "0"))
        self.assertEqual(self.transact(*good).json, {"affected": [1, 1, 1]})

    def test_violations_are_the_callers(self):
        """However many: the database is as well as before."""
        for statement, parameters, status in VIOLATIONS:
            for _ in range(4):
                self.check_mistake(self.write(statement, **parameters), status, statement)
                self.check_mistake(self.transact(operation(statement, **parameters)), status,
                                   statement)
        self.assertEqual(self.write("record-sale", sale="twice").status, 200)
        answer = self.write("record-sale", sale="twice")
        self.assertEqual(answer.status, 409)
        self.assertIn("23505", answer.json["error"])
        for state in ("57014", "57P01", "53300", "08006"):  # which a caller might claim
            for _ in range(4):
                self.check_mistake(self.read("sales-of-day", day=f"[{state}]"), 400, state)
        breaker = self.breaker()
        self.assertEqual((breaker["state"], breaker["failure_count"]), ("closed", 0))
        self.assertEqual(self.world.level(), "optimal")

    def test_many_at_once(self):
        """More than there are sessions. What is said of each is so."""
        answers = {}

        def ask(number):
            answers[number] = (self.write("take-stock", id=200 + number, quantity=1)
                               if number % 2 else self.read("product", id=200 + number))
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertIn(200, [answer.status for answer in answers.values()])
        for number in range(1, 40, 2):
            left = self.stock(200 + number)[0]
            if answers[number].status == 200:
                self.assertEqual(left, 999)
            else:  # a machine that is too busy
                self.check_refused(answers[number], OPEN, REFUSED)
                self.assertIn(left, (999, 1000) if answers[number].json == OPEN else (1000,))

    def test_metrics(self):
        def count(operation, status="ok"):
            return self.world.metric("db_queries_total", pool="database", operation=operation,
                                     status=status)
        before = [count("read"), count("write"), count("transaction"), count("write", "error")]
        self.read("product", id=1)
        self.world.price(1)
        self.write("take-stock", id=60, quantity=1)
        self.write("take-stock", id=60, quantity=9999)
        self.sell("s3", 60)
        self.assertEqual([count("read"), count("write"), count("transaction"),
                          count("write", "error")],
                         [before[0] + 2, before[1] + 1, before[2] + 1, before[3] + 1])
        self.assertEqual(self.world.metric("db_write_mode", pool="database"), 1)
        self.assertGreater(self.world.metric("db_pool_size", pool="database", status="current"), 0)

    # By level

    def test_held_at_minimal(self):
        self.assertEqual(self.write_mode(), "enabled")
        self.hold("minimal")
        self.check_refused(self.write("take-stock", id=70, quantity=1), REFUSED)
        self.check_refused(self.sell("s4", 70), REFUSED)
        answer = self.read("product", id=70)
        self.check_marked(answer, "database", "hold")
        self.assertEqual((answer.json["rows"][0]["stock"], answer.json["age_seconds"]), (1000, 0))
        self.assertEqual(self.write_mode(), "disabled")
        self.check_mistake(self.write("nothing"), 404, "nothing")

    def test_held_at_limited(self):
        self.hold("limited")
        self.assertEqual(self.write("take-stock", id=71, quantity=1).status, 200)
        self.assertEqual(self.rows("product", id=71)[0]["stock"], 999)

    def test_emergency(self):
        self.hold("emergency")
        for answer in (self.write("take-stock", id=72, quantity=1), self.sell("s5", 72),
                       self.read("product", id=72)):
            self.check_refused(answer, EMERGENCY)
        self.assertEqual(self.stock(72), [1000])

    # The database is not well

    def test_read_only(self):
        """The server says so to sessions that are open; reads go on in them."""
        self.rows("product", id=80)
        self.psql("ALTER SYSTEM SET default_transaction_read_only = on")
        self.psql("SELECT pg_reload_conf()")
        try:
            self.world.await_level("minimal")
            self.check_refused(self.write("take-stock", id=80, quantity=1), REFUSED)
            self.check_refused(self.sell("s6", 80), REFUSED)
            self.check_marked(self.read("product", id=80), "database", "level")
            self.assertEqual(self.write_mode(), "disabled")
        finally:
            self.psql("ALTER SYSTEM RESET default_transaction_read_only")
            self.psql("SELECT pg_reload_conf()")
        self.world.await_level("optimal")
        answer = self.write("take-stock", id=80, quantity=1)
        self.assertEqual(answer.status, 200, answer.text)
        self.assertEqual(self.write_mode(), "enabled")

    def test_stopped(self):
        self.rows("product", id=81)
        self.world.injure("stop", "postgresql")
        for _ in range(5):
            self.check_marked(self.read("product", id=81), "cache", "error", "timeout", "open")
            self.check_refused(self.write("take-stock", id=81, quantity=1), REFUSED, OPEN)
            self.check_refused(self.sell("s7", 81), REFUSED, OPEN)
        self.world.await_level("minimal")
        self.check_refused(self.write("take-stock", id=81, quantity=1), REFUSED)
        self.check_refused(self.read("product", id=499), {
            "error": "Data unavailable - database down", "action": "Try again later",
            "message": "Neither the database nor a copy has this answer"})
        self.assertEqual(self.write_mode(), "disabled")
        self.world.heal()
        self.assertEqual(self.stock(81), [1000])
        self.assertEqual(self.write("take-stock", id=81, quantity=1).status, 200)

    def test_frozen(self):
        """Nobody knows what became of a write under way: it is said so, and done once at most."""
        self.rows("product", id=82)
        self.world.injure("freeze", "postgresql")
        with agentworld.Hiccups() as hiccups:
            answers = [self.write("take-stock", id=82, quantity=1) for _ in range(8)]
        for answer in answers:
            self.check_refused(answer, OPEN, REFUSED)
            self.assertLess(answer.seconds, agentworld.SLOWEST + hiccups.worst)
        self.assertEqual((answers[0].json, answers[-1].json), (OPEN, REFUSED))
        self.assertEqual(self.world.level(), "minimal")
        self.world.heal()
        sent = sum(answer.json == OPEN for answer in answers)
        self.assertIn(self.stock(82)[0], range(1000 - sent, 1001))

    def test_cut_in_the_middle(self):
        """The server dies under a transaction that waits for a lock."""
        lock = RowLock(self.world.stack.servers.uris["postgresql"], 91)
        answers = []
        try:
            for _ in range(5):  # this machine may be held up for longer than the agent waits
                thread = threading.Thread(target=lambda: answers.append(self.sell("s8", 90, 91)))
                thread.start()
                if lock.await_waiter():
                    break
                thread.join()
            self.world.injure("stop", "postgresql")
            thread.join()
        finally:
            lock.end()
        self.check_refused(answers[-1], OPEN)
        self.world.heal()
        self.assertEqual((self.stock(90, 91), self.rows("sale", sale="s8")), ([1000, 1000], []))
        self.assertEqual(self.psql("SELECT count(*) FROM sale WHERE id = 's8'"), "0")
        self.assertEqual(self.sell("s8", 90, 91).status, 200)

    def test_gave_up_on_a_lock(self):
        """A caller who gave up on a lock leaves no session that waits for it."""
        lock = RowLock(self.world.stack.servers.uris["postgresql"], 92)
        try:
            self.check_refused(self.write("take-stock", id=92, quantity=1), OPEN)
            deadline = time.monotonic() + 10
            while self.psql("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0":
                self.assertLess(time.monotonic(), deadline)
        finally:
            lock.end()
        self.assertEqual(self.stock(92), [1000])

    def test_y_no_secret_was_told(self):
        log = (self.world.stack.folder / "log").read_text(encoding="utf-8")
        for text in [log, *self.world.seen]:
            self.assertNotIn(agentworld.PASSWORD, text)


if __name__ == "__main__":
    taprunner.main()
