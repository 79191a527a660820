# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program on the system's clock, with its monitor thread."""
import busworld
from busworld import ADMIN, SECOND, Listener, call, get, hold

import taprunner
from gi.repository import Gio, GLib


class StuckLoop(busworld.BusTestCase):
    clock = "system"

    def setUp(self):
        super().setUp()
        self.listener = Listener(self.connection)
        self.assertEqual(self.program.ask("block"), "blocked")

    def tearDown(self):
        self.assertEqual(self.program.ask("go on"), "going on")
        super().tearDown()

    def test_a_level_can_be_forced(self):
        ident = hold(self.connection, level="emergency")
        self.assertEqual(get(self.connection, "Level"), "emergency")
        self.listener.until(lambda: self.listener.named("LevelChanged"))
        call(self.connection, "Release", "(s)", ident)
        self.assertEqual(get(self.connection, "Holds"), [])

    def test_a_breaker_can_be_worked(self):
        call(self.connection, "TripBreaker", "(sst)", "database", "test", 0)
        self.assertEqual(get(self.connection, "Services")["database"], "down")
        self.assertEqual(get(self.connection, "Level"), "minimal")

    def test_a_service_can_be_checked(self):
        self.assertEqual(call(self.connection, "CheckService", "(s)", "redis"), ("healthy", ""))

    def test_a_holder_that_vanishes_is_noticed(self):
        holder = self.connect()
        hold(holder, ttl=0)
        self.assertEqual(len(get(self.connection, "Holds")), 1)
        holder.close_sync(None)
        self.listener.until(lambda: not get(self.connection, "Holds"))

    def test_the_lag_is_shown(self):
        """The loop has stood still since before the watch began, and the lag says so."""
        context = GLib.MainContext.default()
        seen = []

        def look():
            seen.append(get(self.connection, "LoopLag"))
            return seen[-1] < SECOND

        GLib.timeout_add(100, look)
        late = GLib.timeout_add_seconds(60, seen.append, SECOND)
        while not seen or seen[-1] < SECOND:
            context.iteration(True)
        GLib.source_remove(late)
        self.assertGreaterEqual(get(self.connection, "LoopLag"), SECOND)


class Dates(busworld.BusTestCase):
    clock = "system"

    def test_the_end_of_a_hold_is_one_date(self):
        """Computed from what is left, at each look, it is told once for all."""
        listener = Listener(self.connection)
        hold(self.connection, ttl=60 * SECOND)
        (first,) = get(self.connection, "Holds")
        for _ in range(20):
            self.program.ask("fail redis 1")
            self.assertEqual(get(self.connection, "Holds"), [first])
        call(self.connection, "TripBreaker", "(sst)", "s3", "test", 0)
        listener.until(lambda: any("Services" in changed for _, changed, _ in
                                   listener.named("PropertiesChanged")))
        told = [changed["Holds"] for _, changed, _ in listener.named("PropertiesChanged")
                if "Holds" in changed]
        self.assertEqual(told, [[first]])


class Caller:
    """Holds and releases, again and again, on a connection of its own."""

    LEVELS = ("degraded", "limited", "minimal", "emergency")

    def __init__(self, connection, rounds, done):
        self.connection = connection
        self.left = rounds
        self.done = done
        self.failed = None

    def send(self, method, parameters, callback):
        self.connection.call(busworld.NAME, busworld.PATH, ADMIN, method, parameters, None,
                             Gio.DBusCallFlags.NONE, 60_000, None, callback)

    def go_on(self):
        if self.left == 0:
            self.done()
            return
        self.left -= 1
        level = self.LEVELS[self.left % len(self.LEVELS)]
        self.send("Hold", GLib.Variant("(ssssta{sv})", (level, "at-least", "ana", "test", 0, {})),
                  self.on_held)

    def on_held(self, connection, result):
        try:
            self.send("Release", connection.call_finish(result), self.on_released)
        except GLib.Error as error:
            self.failed = error
            self.done()

    def on_released(self, connection, result):
        try:
            connection.call_finish(result)
            self.go_on()
        except GLib.Error as error:
            self.failed = error
            self.done()


class ManyAtOnce(busworld.BusTestCase):
    clock = "system"

    def test_holds_of_many_callers_while_breakers_flap(self):
        """Calls of ten callers cross each other and the program's own; in the end nothing is left."""
        listener = Listener(self.connection)
        ended = []
        callers = [Caller(self.connect(), 20, lambda: ended.append(True)) for _ in range(10)]
        for caller in callers:
            caller.go_on()
        for _ in range(20):
            self.program.tell("fail redis 3")
            self.program.tell("succeed redis 3")
        listener.until(lambda: len(ended) == len(callers), seconds=60)
        self.assertEqual([caller.failed for caller in callers], [None] * len(callers))
        for _ in range(40):
            self.program.read()
        self.assertEqual(get(self.connection, "Holds"), [])
        level = get(self.connection, "Level")
        listener.until(lambda: listener.named("LevelChanged")[-1][1] == level)
        steps = [(old, new) for old, new, *_ in listener.named("LevelChanged")]
        self.assertEqual(steps[0][0], "optimal")
        for before, after in zip(steps, steps[1:]):
            self.assertEqual(before[1], after[0], "a step begins where the last one ended")


if __name__ == "__main__":
    taprunner.main()
