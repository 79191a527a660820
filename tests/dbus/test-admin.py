# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holding a level and working breakers, as one who may."""
import pathlib
import tempfile

import busworld
from busworld import HOUR, SECOND, Failed, Listener, Program, call, get, hold

import taprunner
from gi.repository import Gio, GLib

ERROR = "org.derate.Derate1.Error."
TICK = 30 * SECOND
BREAKER = "org.derate.Derate1.Breaker"
S3 = "/org/derate/Derate1/breaker/s3"


class Holds(busworld.BusTestCase):
    def ids(self):
        return [entry["id"] for entry in get(self.connection, "Holds")]

    def test_a_hold_shows_everywhere_before_it_returns(self):
        order = []
        watch = self.connection.signal_subscribe(
            None, None, None, None, None, Gio.DBusSignalFlags.NONE, lambda *_: None)
        self.connection.add_filter(self.note_message, order)
        ident = hold(self.connection, who="ana", reason="maintenance", ttl=20 * SECOND)
        self.assertEqual(order, ["PropertiesChanged", "LevelChanged", "reply"])
        self.connection.signal_unsubscribe(watch)

        self.assert_level("minimal")
        self.assertEqual(get(self.connection, "LevelValue"), 4)
        self.assertEqual(get(self.connection, "ComputedLevel"), "optimal")
        self.assertEqual(get(self.connection, "Reason"), "hold")
        (shown,) = get(self.connection, "Holds")
        since = shown.pop("since")
        self.assertEqual(shown, {
            "id": ident, "level": "minimal", "mode": "at-least", "who": "ana",
            "reason": "maintenance", "uid": busworld.os.geteuid(), "bound": False,
            "expires": since + 20 * SECOND})

    @staticmethod
    def note_message(_connection, message, incoming, order):
        """In GDBus's own thread, in the order of the wire."""
        if incoming and message.get_message_type() == Gio.DBusMessageType.METHOD_RETURN:
            if message.get_signature() == "s":
                order.append("reply")
        elif incoming and message.get_path() == busworld.PATH:
            order.append(message.get_member())
        return message

    def test_what_is_wrong_is_refused_and_changes_nothing(self):
        wrong = [
            ("UnknownLevel", {"level": "purple"}),
            ("UnknownLevel", {"level": ""}),
            ("UnknownLevel", {"level": "unknown"}),
            ("UnknownMode", {"mode": "at-most"}),
            ("InvalidReason", {"reason": ""}),
            ("InvalidReason", {"reason": " \t"}),
            ("InvalidReason", {"reason": "x" * 257}),
            ("InvalidReason", {"who": ""}),
            ("InvalidTtl", {"ttl": 0, "bind": "none"}),
            ("InvalidTtl", {"ttl": 25 * HOUR}),
            ("InvalidTtl", {"ttl": 25 * HOUR, "bind": "caller"}),
            ("InvalidTtl", {"ttl": 24 * HOUR + 1}),
            ("InvalidTtl", {"ttl": SECOND - 1}),
            ("InvalidTtl", {"ttl": 2 ** 64 - 1}),
            ("InvalidArgument", {"bind": "everybody"}),
        ]
        for error, values in wrong:
            with self.subTest(values=values):
                self.assert_refused(ERROR + error, hold, self.connection, **values)
                self.assertEqual(self.ids(), [])
                self.assert_level("optimal")

    def test_a_long_word_is_not_sent_back_whole(self):
        word = "x" * 1_000_000
        for method, signature in (("Release", "(s)"), ("CheckService", "(s)")):
            with self.assertRaises(busworld.Failed) as caught:
                call(self.connection, method, signature, word)
            self.assertIn("x" * 1000, str(caught.exception))
            self.assertLess(len(str(caught.exception)), 10_000)
        with self.assertRaises(busworld.Failed) as caught:
            hold(self.connection, level="\u00e9" * 100_000)
        self.assertLess(len(str(caught.exception)), 10_000)

    def test_the_bounds_themselves_are_taken(self):
        for values in ({"ttl": SECOND}, {"ttl": 24 * HOUR}, {"ttl": 0}, {"ttl": 0, "bind": "caller"},
                       {"reason": "x" * 256}, {"level": "optimal", "mode": "exact"}):
            with self.subTest(values=values):
                ident = hold(self.connection, **values)
                self.assertEqual(self.ids(), [ident])
                call(self.connection, "Release", "(s)", ident)

    def test_a_hold_ends_by_itself_and_only_its_holder_is_told(self):
        holder = Listener(self.connection)
        other = Listener(self.connect())
        ident = hold(self.connection, ttl=20 * SECOND)
        self.program.advance(20 * SECOND - 1)
        self.assertEqual(self.ids(), [ident])
        self.program.advance(1)
        self.assertEqual(self.ids(), [])
        self.program.advance(TICK)
        self.assert_level("optimal")
        holder.until(lambda: holder.named("HoldReleased"))
        other.until(lambda: len(other.named("LevelChanged")) == 2)
        self.assertEqual(holder.named("HoldReleased"), [(ident, "expired")])
        self.assertEqual(other.named("HoldReleased"), [])

    def test_renew_counts_from_now(self):
        ident = hold(self.connection, ttl=20 * SECOND)
        self.program.advance(15 * SECOND)
        call(self.connection, "Renew", "(st)", ident, 20 * SECOND)
        self.program.advance(20 * SECOND - 1)
        self.assertEqual(self.ids(), [ident])
        self.program.advance(1)
        self.assertEqual(self.ids(), [])
        self.assert_refused(ERROR + "NoSuchHold", call, self.connection, "Renew", "(st)", ident, SECOND)

    def test_renew_keeps_the_bounds(self):
        ident = hold(self.connection)
        for ttl in (0, 25 * HOUR):
            self.assert_refused(ERROR + "InvalidTtl", call, self.connection, "Renew", "(st)", ident, ttl)

    def test_behaviour_33_a_holder_that_leaves_takes_its_bound_hold_along(self):
        holder = self.connect()
        hold(holder, level="emergency", ttl=0)
        stays = hold(holder, level="minimal", ttl=HOUR, bind="none")
        self.assert_level("emergency")
        listener = Listener(self.connection)
        holder.close_sync(None)
        listener.until(lambda: len(self.ids()) == 1)
        self.assertEqual(self.ids(), [stays])
        self.program.advance(TICK)
        self.assert_level("minimal")

    def leave_in_the_middle(self, holder):
        """Calls Hold while the program is busy, and is gone before it looks."""
        self.assertEqual(self.program.ask("block"), "blocked")
        message = Gio.DBusMessage.new_method_call(busworld.NAME, busworld.PATH, busworld.ADMIN, "Hold")
        message.set_body(GLib.Variant("(ssssta{sv})", ("minimal", "at-least", "ana", "test", 0, {})))
        message.set_flags(Gio.DBusMessageFlags.NO_REPLY_EXPECTED)
        holder.send_message(message, Gio.DBusSendMessageFlags.NONE)
        unique_name = holder.get_unique_name()
        bus = Listener(self.connection, "org.freedesktop.DBus")
        listener = Listener(self.connection)
        holder.flush_sync(None)
        holder.close_sync(None)
        bus.until(lambda: (unique_name, unique_name, "") in bus.named("NameOwnerChanged"))
        self.assertEqual(self.program.ask("go on"), "going on")
        # The bus answers in order: who calls last is known last.
        call(self.connect(), "CheckService", "(s)", "redis")
        listener.until(lambda: not self.ids())
        self.program.advance(TICK)
        self.assert_level("optimal")

    def test_behaviour_33_a_holder_that_crashes_between_call_and_watch(self):
        holder = self.connect()
        call(holder, "Release", "(s)", hold(holder))  # the program knows its uid from now on
        self.program.advance(TICK)
        self.leave_in_the_middle(holder)
        history = call(self.connection, "History", "(u)", 0, interface=busworld.MANAGER)
        self.assertEqual([entry["to"] for entry in history], ["optimal", "minimal"] * 2)

    def test_a_caller_that_is_gone_before_anybody_asks_who_it_is(self):
        self.leave_in_the_middle(self.connect())
        self.assertEqual(call(self.connection, "History", "(u)", 0, interface=busworld.MANAGER), [])

    def test_an_exact_hold_is_outranked_by_a_floor(self):
        hold(self.connection, level="emergency", mode="exact")
        self.assert_level("emergency")
        self.assertEqual(call(self.connection, "ReleaseAll", "(s)", "test"), 1)
        hold(self.connection, level="degraded", mode="exact")
        hold(self.connection, level="limited", mode="at-least")
        self.program.advance(TICK)
        self.assert_level("limited")

    def test_release_all_counts(self):
        listener = Listener(self.connection)
        idents = {hold(self.connection), hold(self.connection)}
        self.program.ask("hold limited")
        self.assert_refused(ERROR + "InvalidReason", call, self.connection, "ReleaseAll", "(s)", "")
        self.assertEqual(call(self.connection, "ReleaseAll", "(s)", "test"), 3)
        self.assertEqual(self.ids(), [])
        listener.until(lambda: len(listener.named("HoldReleased")) == 2)
        self.assertEqual({ident for ident, _ in listener.named("HoldReleased")}, idents)

    def test_ten_a_caller(self):
        for _ in range(10):
            hold(self.connection)
        self.assert_refused(ERROR + "LimitExceeded", hold, self.connection)

    def test_release_of_none(self):
        self.assert_refused(ERROR + "NoSuchHold", call, self.connection, "Release", "(s)", "6f2a")


class Log(busworld.BusTestCase):
    """What an operator did, and why."""

    def make_program(self, **options):
        self.log = tempfile.TemporaryFile("w+")
        self.addCleanup(self.log.close)
        return super().make_program(log=self.log, **options)

    def test_who_did_what_and_why(self):
        hold(self.connection, who="ana", reason="new disks")
        call(self.connection, "ReleaseAll", "(s)", "disks are in")
        call(self.connection, "TripBreaker", "(sst)", "s3", "moving", 0)
        call(self.connection, "CloseBreaker", "(ss)", "s3", "moved")
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "metrics-only", "to see", HOUR)
        call(self.connection, "ResetBreaker", "(ss)", "s3", "seen")
        call(self.connection, "ResetAllBreakers", "(s)", "all anew")
        self.log.seek(0)
        log = self.log.read()
        uid = f"uid {busworld.os.geteuid()}"
        for line in (r"Hold \w+ taken by ana: at-least minimal: new disks",
                     r"Hold \w+ of ana ended: released", f"Holds released by {uid}: 1: disks are in",
                     f"s3: tripped by {uid}: moving", f"s3: closed by {uid}: moved",
                     f"s3: metrics-only by {uid}: to see", f"s3: reset by {uid}: seen",
                     f"all breakers: reset by {uid}: all anew"):
            self.assertRegex(log, rf"(?m): {line}$")


class Restarts(busworld.BusTestCase):
    clock = "system"

    def make_program(self):
        folder = pathlib.Path(self.bus.folder.name)
        (folder / "state").mkdir(exist_ok=True)
        config = folder / "shop.conf"
        config.write_text(f"[derate]\nname=shop\nstate-dir={folder}/state\n"
                          "[service database]\nrole=database\n", encoding="utf-8")
        return Program(self.bus, clock=self.clock, config=str(config))

    def tearDown(self):
        self.assertEqual(self.program.quit(), 0)
        super().tearDown()

    def test_ahead_05_a_program_that_was_killed_takes_up_its_holds(self):
        """What the caller was told is on disk: the program dies right after its answer."""
        hold(self.connection, level="emergency", ttl=0)
        gone = hold(self.connection, level="emergency", ttl=HOUR, bind="none")
        kept = hold(self.connection, level="minimal", ttl=HOUR, bind="none")
        call(self.connection, "Release", "(s)", gone)
        (before,) = [entry for entry in get(self.connection, "Holds") if entry["id"] == kept]
        self.program.kill()

        listener = Listener(self.connection, None)
        self.program = self.make_program()
        listener.until(lambda: listener.named("LevelChanged"))
        (after,) = get(self.connection, "Holds")
        self.assertAlmostEqual(after.pop("expires"), before.pop("expires"), delta=SECOND)
        self.assertEqual(after, before)
        self.assert_level("minimal")
        call(self.connection, "Release", "(s)", kept)
        self.assertEqual(get(self.connection, "Holds"), [])


class Breakers(busworld.BusTestCase):
    def state(self, prop="State"):
        return get(self.connection, prop, interface=BREAKER, path=S3)

    def status_of_s3(self):
        return get(self.connection, "Services")["s3"]

    def test_trip_close_and_reset(self):
        call(self.connection, "TripBreaker", "(sst)", "s3", "test", 0)
        self.assertEqual((self.state(), self.status_of_s3()), ("open", "down"))
        self.assertGreater(self.state("RetryAfterUsec"), 0)
        self.assert_level("degraded")
        call(self.connection, "CloseBreaker", "(ss)", "s3", "test")
        self.assertEqual((self.state(), self.status_of_s3()), ("closed", "healthy"))
        call(self.connection, "TripBreaker", "(sst)", "s3", "test", 0)
        call(self.connection, "ResetBreaker", "(ss)", "s3", "test")
        self.assertEqual(self.state(), "closed")

    def test_a_trip_lasts_for_its_time(self):
        call(self.connection, "TripBreaker", "(sst)", "s3", "test", 2 * HOUR)
        self.program.advance(2 * HOUR - SECOND)
        self.assertEqual(self.state(), "open")
        self.program.advance(2 * SECOND)
        self.assertEqual(self.state(), "half-open")

    def test_reset_all_counts(self):
        self.program.ask("fail redis 3")
        self.program.ask("fail openai 3")
        self.assert_level("limited")
        self.assertEqual(call(self.connection, "ResetAllBreakers", "(s)", "test"), 4)
        self.program.advance(2 * TICK)
        self.assert_level("optimal")

    def test_a_mode_ends_after_its_time(self):
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "forced-open", "test", 20 * SECOND)
        self.assertEqual((self.state("Mode"), self.status_of_s3()), ("forced-open", "down"))
        self.program.advance(20 * SECOND - 1)
        self.assertEqual(self.state("Mode"), "forced-open")
        self.program.advance(1)
        self.assertEqual(self.state("Mode"), "normal")

    def test_a_mode_ends_when_its_caller_leaves(self):
        caller = self.connect()
        call(caller, "SetBreakerMode", "(ssst)", "s3", "disabled", "test", 0)
        self.assertEqual(self.state("Mode"), "disabled")
        listener = Listener(self.connection)
        caller.close_sync(None)
        listener.until(lambda: self.state("Mode") == "normal")

    def test_a_mode_of_another_caller_goes_on(self):
        leaves, stays = self.connect(), self.connect()
        call(leaves, "SetBreakerMode", "(ssst)", "s3", "disabled", "test", 0)
        call(stays, "SetBreakerMode", "(ssst)", "redis", "disabled", "test", 0)
        call(leaves, "SetBreakerMode", "(ssst)", "openai", "disabled", "test", HOUR)
        listener = Listener(self.connection)
        leaves.close_sync(None)
        listener.until(lambda: self.state("Mode") == "normal")
        modes = [get(self.connection, "Mode", interface=BREAKER, path=S3.replace("s3", name))
                 for name in ("redis", "openai")]
        self.assertEqual(modes, ["disabled", "disabled"])

    def test_the_mode_that_comes_back_is_that_before_the_first(self):
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "disabled", "test", HOUR)
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "forced-open", "test", 20 * SECOND)
        self.program.advance(20 * SECOND)
        self.assertEqual(self.state("Mode"), "normal")
        self.program.advance(HOUR)
        self.assertEqual(self.state("Mode"), "normal")

    def test_a_mode_set_since_is_left_alone(self):
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "disabled", "test", 20 * SECOND)
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "metrics-only", "test", HOUR)
        self.program.advance(30 * SECOND)
        self.assertEqual(self.state("Mode"), "metrics-only")
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "normal", "test", 0)
        self.assertEqual(self.state("Mode"), "normal")

    def test_what_is_wrong_is_refused_and_changes_nothing(self):
        wrong = [
            ("NoSuchBreaker", "TripBreaker", "(sst)", "s4", "test", 0),
            ("InvalidReason", "TripBreaker", "(sst)", "s3", "", 0),
            ("InvalidTtl", "TripBreaker", "(sst)", "s3", "test", 25 * HOUR),
            ("NoSuchBreaker", "CloseBreaker", "(ss)", "s4", "test"),
            ("NoSuchBreaker", "ResetBreaker", "(ss)", "s4", "test"),
            ("InvalidReason", "ResetAllBreakers", "(s)", "x" * 257),
            ("UnknownMode", "SetBreakerMode", "(ssst)", "s3", "open", "test", SECOND),
            ("InvalidTtl", "SetBreakerMode", "(ssst)", "s3", "disabled", "test", SECOND - 1),
            ("NoSuchBreaker", "SetBreakerMode", "(ssst)", "s4", "disabled", "test", SECOND),
        ]
        for error, *arguments in wrong:
            with self.subTest(arguments=arguments):
                self.assert_refused(ERROR + error, call, self.connection, *arguments)
                self.assertEqual((self.state(), self.state("Mode")), ("closed", "normal"))


class Services(busworld.BusTestCase):
    def test_check_now(self):
        self.assertEqual(call(self.connection, "CheckService", "(s)", "redis"), ("healthy", ""))
        self.program.ask("check down")
        self.assertEqual(call(self.connection, "CheckService", "(s)", "redis"), ("down", "refused"))
        with self.assertRaises(Failed) as caught:
            call(self.connection, "CheckService", "(s)", "nothing")
        self.assertEqual(caught.exception.name, ERROR + "NoSuchService")

    def test_reload_without_a_file(self):
        with self.assertRaises(Failed) as caught:
            call(self.connection, "Reload")
        self.assertTrue(caught.exception.name.startswith(ERROR), caught.exception)


class Reloads(busworld.BusTestCase):
    clock = "system"
    before = "[derate]\nname=shop\n[service database]\nrole=database\n"

    def make_program(self):
        self.config = pathlib.Path(self.bus.folder.name) / "shop.conf"
        self.config.write_text(self.before, encoding="utf-8")
        return super().make_program(config=str(self.config))

    def test_news_come_before_the_answer(self):
        self.config.write_text(self.before + "[service mail]\nrole=storage\n", encoding="utf-8")
        order = []
        watch = self.connection.signal_subscribe(
            busworld.NAME, None, None, None, None, Gio.DBusSignalFlags.NONE, lambda *_: None)
        self.connection.add_filter(self.note_message, order)
        call(self.connection, "Reload")
        self.connection.signal_unsubscribe(watch)
        self.assertEqual(order[-1], "reply")
        self.assertEqual(sorted(order[:-1]), ["InterfacesAdded", "InterfacesAdded", "PropertiesChanged"])

    @staticmethod
    def note_message(_connection, message, incoming, order):
        if incoming and message.get_signature() == "as":
            order.append("reply")
        elif incoming and message.get_path() == busworld.PATH:
            order.append(message.get_member())
        return message

    def test_what_changed_is_told_and_shows_before_it_returns(self):
        self.config.write_text(self.before + "[service mail]\nrole=storage\n", encoding="utf-8")
        changes = call(self.connection, "Reload")
        self.assertTrue(any("mail" in line for line in changes), changes)
        self.assertEqual(set(get(self.connection, "Services")), {"database", "mail"})
        call(self.connection, "TripBreaker", "(sst)", "mail", "test", 0)
        self.assert_level("degraded")

    def test_what_is_gone_is_no_object_any_more(self):
        self.config.write_text(self.before.replace("service database", "service mail"), encoding="utf-8")
        listener = Listener(self.connection)
        call(self.connection, "Reload")
        listener.until(lambda: "/org/derate/Derate1/service/database" in
                       [path for path, _ in listener.named("InterfacesRemoved")])
        self.assertEqual(set(get(self.connection, "Services")), {"mail"})

    def test_a_reload_that_nobody_asked_for_over_the_bus_is_told_there(self):
        """As by HUP in derated."""
        path = "/org/derate/Derate1/service/"
        self.config.write_text(self.before.replace("service database", "service mail"), encoding="utf-8")
        listener = Listener(self.connection)
        self.assertEqual(self.program.ask("reload"), "service mail added, service database removed")
        listener.until(lambda: listener.named("InterfacesRemoved"))
        self.assertIn(path + "mail", [added for added, _ in listener.named("InterfacesAdded")])
        self.assertIn(path + "database", [gone for gone, _ in listener.named("InterfacesRemoved")])
        self.config.write_text(self.before.replace("service database", "service mail") +
                               "criticality=low\nbreaker-mode=metrics-only\n", encoding="utf-8")
        self.assertEqual(self.program.ask("reload"), "service mail changed")
        for prop, value in (("Criticality", "low"), ("Mode", "metrics-only")):
            listener.until(lambda: any(changed.get(prop) == value for _, changed, _ in
                                       listener.named("PropertiesChanged")))

    def test_a_bad_file_is_refused_and_the_old_goes_on(self):
        self.config.write_text(self.before + "colour=blue\n", encoding="utf-8")
        text = self.assert_refused(ERROR + "InvalidConfig", call, self.connection, "Reload")
        self.assertIn("colour", text)
        self.assertEqual(set(get(self.connection, "Services")), {"database"})


if __name__ == "__main__":
    taprunner.main()
