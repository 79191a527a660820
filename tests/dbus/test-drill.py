# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drills over the bus: who may, what is refused, and that they end with who began them."""
import json

import busworld
from busworld import ADMIN, HOUR, MANAGER, SECOND, Listener, call, get

import taprunner
from gi.repository import Gio, GLib

ERROR = "org.derate.Derate1.Error."
SIGNATURE = "(sa{sv}ta{sv})"
REPORT_KEYS = {
    "id", "service", "fault", "rate", "latency_seconds", "limit", "who", "reason", "uid", "since",
    "ended", "duration_seconds", "cause", "level", "features", "refused", "fallbacks",
    "fallback_failures", "answers"}
DOWN = {"down": GLib.Variant("b", True)}


def drill(connection, service="redis", fault=None, duration=60 * SECOND, **options):
    return call(connection, "Drill", SIGNATURE, service, DOWN if fault is None else fault, duration,
                {key: value if isinstance(value, GLib.Variant) else GLib.Variant("s", value)
                 for key, value in options.items()})


class Drills(busworld.BusTestCase):
    def drills(self):
        return json.loads(call(self.connection, "Dump", "(s)", "status", interface=MANAGER))["drills"]

    def stop(self, ident, connection=None):
        return call(connection or self.connection, "StopDrill", "(s)", ident)

    def test_ahead_08_a_service_plays_dead_and_a_report_tells(self):
        ident = drill(self.connection, reason="Friday", limit="limited")
        self.assertEqual(get(self.connection, "Services")["redis"], "down")
        self.assert_level("degraded")
        self.assertEqual(self.program.ask("succeed redis 5"), "0")
        self.assertEqual(self.program.ask("succeed s3 5"), "5")
        (shown,) = self.drills()
        self.assertEqual(set(shown), {"id", "service", "fault", "rate", "latency_seconds", "limit",
                                      "who", "reason", "uid", "since", "remaining_seconds"})
        self.assertEqual((shown["id"], shown["reason"], shown["limit"], shown["remaining_seconds"]),
                         (ident, "Friday", "limited", 60))
        (on_the_bus,) = get(self.connection, "Drills")
        self.assertEqual([on_the_bus["rate"], on_the_bus["latency"]],
                         [shown["rate"], shown["latency_seconds"]])
        self.program.advance(20 * SECOND)
        report = self.stop(ident)
        self.assertEqual(set(report), REPORT_KEYS)
        self.assertEqual(
            {key: report[key] for key in ("id", "service", "fault", "rate", "latency_seconds", "limit",
                                          "reason", "uid", "duration_seconds", "cause", "refused")},
            {"id": ident, "service": "redis", "fault": "down", "rate": 1, "latency_seconds": 0,
             "limit": "limited", "reason": "Friday", "uid": busworld.os.geteuid(),
             "duration_seconds": 20, "cause": "stopped", "refused": 5})
        self.assertEqual(report["level"], {"before": "optimal", "worst": "degraded",
                                           "rule": "dependency-down", "after": "optimal"})
        self.assertEqual(report["features"], {"cache": {"from": "on", "to": "off"}})
        self.assertEqual(report["fallbacks"], [])
        self.assertEqual(report["answers"], {"real": 0, "fallback": 0, "refused": 0})
        self.assertEqual(self.drills(), [])
        self.assertEqual(get(self.connection, "Services")["redis"], "healthy")

    def test_it_ends_by_itself_and_is_remembered(self):
        ident = drill(self.connection, duration=20 * SECOND)
        self.program.advance(20 * SECOND)
        self.assertEqual(self.drills(), [])
        self.assertEqual(self.stop(ident)["cause"], "expired")
        self.program.advance(10 * SECOND)
        self.assert_level("optimal")

    def test_the_bus_hears_of_drills_that_nothing_else_shows(self):
        listener = Listener(self.connection)
        ident = drill(self.connection, "s3", {"latency": GLib.Variant("t", SECOND)}, 20 * SECOND,
                      reason="Friday")
        listener.until(lambda: listener.named("PropertiesChanged"))
        ((interface, told, _),) = listener.named("PropertiesChanged")
        (shown,) = told.pop("Drills")
        self.assertEqual((interface, told, get(self.connection, "Drills")), (MANAGER, {}, [shown]))
        self.assertEqual(shown.pop("expires") - shown.pop("since"), 20 * SECOND)
        self.assertTrue(shown.pop("who"))
        self.assertEqual(shown, {"id": ident, "service": "s3", "fault": "latency", "rate": 0,
                                 "latency": SECOND, "limit": "minimal", "reason": "Friday",
                                 "uid": busworld.os.geteuid()})
        listener.heard.clear()
        self.program.advance(20 * SECOND)
        listener.until(lambda: listener.named("PropertiesChanged"))
        self.assertIn((MANAGER, {"Drills": []}, []), listener.named("PropertiesChanged"))

    def test_the_level_is_told_before_it_returns(self):
        listener = Listener(self.connection)
        drill(self.connection)
        listener.until(lambda: listener.named("LevelChanged"))
        (old, new, rule, details), = listener.named("LevelChanged")
        self.assertEqual((old, new, rule, details["inputs"]),
                         ("optimal", "degraded", "dependency-down", {"redis": "down"}))

    def test_it_is_in_the_explanation(self):
        ident = drill(self.connection, reason="Friday")
        other = drill(self.connection, "s3")
        lines = call(self.connection, "Explain", interface=MANAGER)[3]
        uid = busworld.os.geteuid()
        self.assertIn(f"drill {ident}: redis down, by uid {uid}: Friday", lines)
        self.assertIn(f"drill {other}: s3 down, by uid {uid}", lines)
        self.assertIn("redis: down, drill", lines)

    def test_error_rate_and_latency(self):
        ident = drill(self.connection, "openai", {"error-rate": GLib.Variant("d", 0.5)})
        self.assertEqual(get(self.connection, "Services")["openai"], "down")
        report = self.stop(ident)
        self.assertEqual((report["fault"], report["rate"]), ("error-rate", 0.5))
        ident = drill(self.connection, "redis", {"latency": GLib.Variant("t", 250_000)})
        self.assertEqual(self.program.ask("succeed redis 5"), "5")
        report = self.stop(ident)
        self.assertEqual((report["fault"], report["rate"], report["latency_seconds"]),
                         ("latency", 0, 0.25))

    def test_what_is_wrong_is_refused_and_changes_nothing(self):
        wrong = [
            ("NoSuchService", "s4", {"service": "s4", "fault": {}, "duration": 0}),
            ("InvalidArgument", "fault", {"fault": {}, "duration": 0}),
            ("InvalidArgument", "fault", {"fault": {**DOWN, "latency": GLib.Variant("t", 1)}}),
            ("InvalidArgument", "colour", {"fault": {"colour": GLib.Variant("b", True)}}),
            ("InvalidArgument", "down", {"fault": {"down": GLib.Variant("b", False)}}),
            ("InvalidArgument", "down", {"fault": {"down": GLib.Variant("s", "yes")}}),
            ("InvalidArgument", "error-rate", {"fault": {"error-rate": GLib.Variant("s", "1")}}),
            ("InvalidArgument", "error-rate 0", {"fault": {"error-rate": GLib.Variant("d", 0)}}),
            ("InvalidArgument", "error-rate 1.5", {"fault": {"error-rate": GLib.Variant("d", 1.5)}}),
            ("InvalidArgument", "error-rate nan",
             {"fault": {"error-rate": GLib.Variant("d", float("nan"))}}),
            ("InvalidArgument", "latency", {"fault": {"latency": GLib.Variant("t", 0)}}),
            ("InvalidArgument", "latency", {"fault": {"latency": GLib.Variant("x", 5)}}),
            ("InvalidArgument", "latency", {"fault": {"latency": GLib.Variant("t", 2 ** 64 - 1)}}),
            ("InvalidArgument", "latency", {"fault": {"latency": GLib.Variant("t", 301 * SECOND)}}),
            ("InvalidTtl", "1s to 1h", {"duration": 0, "reason": ""}),
            ("InvalidTtl", "1s to 1h", {"duration": SECOND - 1}),
            ("InvalidTtl", "1s to 1h", {"duration": HOUR + 1}),
            ("InvalidTtl", "1s to 1h", {"duration": 2 ** 64 - 1}),
            ("InvalidReason", "reason", {"reason": "", "limit": "purple"}),
            ("InvalidReason", "reason", {"reason": "x" * 257}),
            ("UnknownLevel", "purple", {"limit": "purple"}),
            ("UnknownLevel", "unknown", {"limit": "unknown"}),
            ("InvalidArgument", "who", {"who": "eve"}),
            ("InvalidArgument", "limit", {"limit": GLib.Variant("u", 3)}),
            ("LimitExceeded", "degraded", {"limit": "optimal"}),
        ]
        for error, text, values in wrong:
            with self.subTest(values=values):
                self.assertIn(text, self.assert_refused(ERROR + error, drill, self.connection, **values))
                self.assertEqual(self.drills(), [])
        self.assert_level("optimal")
        self.assertIn("6f2a", self.assert_refused(ERROR + "NoSuchDrill", self.stop, "6f2a"))

    def test_one_a_service(self):
        ident = drill(self.connection)
        self.assertIn(ident, self.assert_refused(ERROR + "Exists", drill, self.connect()))
        drill(self.connection, "s3")
        self.assertEqual(len(self.drills()), 2)

    def test_an_emergency_has_to_be_asked_for(self):
        self.program.ask("fail database 3")
        text = self.assert_refused(ERROR + "LimitExceeded", drill, self.connection)
        self.assertRegex(text, "emergency .* limit is minimal")
        self.assert_level("minimal")
        drill(self.connection, limit="emergency")
        self.assert_level("emergency")

    def test_a_real_failure_ends_it(self):
        ident = drill(self.connection)
        self.program.ask("fail database 3")
        self.assertEqual(self.drills(), [])
        self.assert_level("minimal")
        self.assertEqual(self.stop(ident)["cause"], "limit")

    def test_it_ends_when_its_caller_leaves(self):
        caller = self.connect()
        ident = drill(caller)
        other = drill(self.connection, "s3")
        listener = Listener(self.connection)
        caller.close_sync(None)
        listener.until(lambda: len(self.drills()) == 1)
        self.assertEqual(self.stop(ident)["cause"], "vanished")
        self.assertEqual(self.stop(other)["cause"], "stopped")

    def test_a_caller_that_is_gone_before_the_program_looks(self):
        caller = self.connect()
        self.stop(drill(caller), caller)  # the program knows its uid from now on
        self.program.advance(30 * SECOND)
        before = len(call(self.connection, "History", "(u)", 0, interface=MANAGER))
        self.assertEqual(self.program.ask("block"), "blocked")
        message = Gio.DBusMessage.new_method_call(busworld.NAME, busworld.PATH, ADMIN, "Drill")
        message.set_body(GLib.Variant(SIGNATURE, ("redis", DOWN, 60 * SECOND, {})))
        message.set_flags(Gio.DBusMessageFlags.NO_REPLY_EXPECTED)
        caller.send_message(message, Gio.DBusSendMessageFlags.NONE)
        name = caller.get_unique_name()
        bus = Listener(self.connection, "org.freedesktop.DBus")
        listener = Listener(self.connection)
        caller.flush_sync(None)
        caller.close_sync(None)
        bus.until(lambda: (name, name, "") in bus.named("NameOwnerChanged"))
        self.assertEqual(self.program.ask("go on"), "going on")
        # The bus answers in order: who calls last is known last.
        call(self.connect(), "CheckService", "(s)", "redis")
        listener.until(lambda: not self.drills())
        history = call(self.connection, "History", "(u)", 0, interface=MANAGER)
        self.assertEqual(len(history), before + 1, "it did begin")

    def test_it_ends_when_the_program_leaves_the_bus(self):
        drill(self.connection)
        self.assertEqual(self.program.ask("succeed redis 1"), "0")
        self.program.ask("stop")
        self.assertEqual(self.program.ask("succeed redis 1"), "1")


class AnotherUid(busworld.BusTestCase):
    """On a bus that the program takes for the system's."""

    FAULT = {"down": ["variant", "b", True]}

    def make_program(self):
        return super().make_program(env={"DBUS_SYSTEM_BUS_ADDRESS": self.bus.address})

    def allow(self, *actions):
        here = busworld.pathlib.Path(__file__).parent
        polkit = busworld.subprocess.Popen(
            [busworld.sys.executable, here / "fake-polkit.py", self.bus.address, *actions],
            stdout=busworld.subprocess.PIPE, text=True)
        self.addCleanup(polkit.stdout.close)
        self.addCleanup(polkit.wait)
        self.addCleanup(polkit.kill)
        self.assertEqual(polkit.stdout.readline(), "ready\n")
        return polkit

    def drill(self, stranger):
        return stranger.send("Drill", SIGNATURE, ("redis", self.FAULT, 60 * SECOND, {}), ADMIN,
                             busworld.NAME)

    def test_who_may_only_hold_may_not_drill(self):
        self.allow("org.derate.hold", "org.derate.hold-exact")
        stranger = self.stranger()
        denied = "org.freedesktop.DBus.Error.AccessDenied"
        self.assertEqual(self.drill(stranger)["error"], denied)
        ident = drill(self.connection)
        self.assertEqual(stranger.refused("StopDrill", "(s)", ident), denied)
        self.assert_level("degraded")

    def test_who_may_manage_drills_and_takes_it_along_when_killed(self):
        polkit = self.allow("org.derate.manage")
        stranger = self.stranger()
        (ident,) = self.drill(stranger)["value"]
        self.assertEqual(polkit.stdout.readline(),
                         f"system-bus-name {stranger.unique_name} org.derate.manage\n")
        self.assert_level("degraded")
        listener = Listener(self.connection)
        stranger.die()
        listener.until(lambda: get(self.connection, "ComputedLevel") == "optimal")
        report = call(self.connection, "StopDrill", "(s)", ident)
        self.assertEqual((report["cause"], report["uid"], report["who"]),
                         ("vanished", stranger.UID, f"uid {stranger.UID}"))


if __name__ == "__main__":
    busworld.enter_namespace()
    taprunner.main()
