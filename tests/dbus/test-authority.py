# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may not, and who may because polkit says so."""
import grp
import os
import pathlib
import subprocess
import sys
import tempfile

import busworld
from busworld import ADMIN, MANAGER, SECOND, Listener, call, get, hold

import taprunner
from gi.repository import GLib

DENIED = "org.freedesktop.DBus.Error.AccessDenied"
NOT_OWNER = "org.derate.Derate1.Error.NotOwner"
HOLD = ("minimal", "at-least", "mallory", "because", 60 * SECOND, {})
EXACT = ("optimal", "exact", "mallory", "because", 60 * SECOND, {})
EVERY_METHOD = {
    "Hold": ("(ssssta{sv})", *HOLD),
    "Renew": ("(st)", "id", 60 * SECOND),
    "Release": ("(s)", "id"),
    "ReleaseAll": ("(s)", "because"),
    "TripBreaker": ("(sst)", "s3", "because", 0),
    "CloseBreaker": ("(ss)", "s3", "because"),
    "ResetBreaker": ("(ss)", "s3", "because"),
    "ResetAllBreakers": ("(s)", "because"),
    "SetBreakerMode": ("(ssst)", "s3", "forced-open", "because", 0),
    "CheckService": ("(s)", "redis"),
    "Drill": ("(sa{sv}ta{sv})", "s3", {"down": ["variant", "b", True]}, 60 * SECOND, {}),
    "StopDrill": ("(s)", "id"),
    "Reload": ("()",),
}


def read_state(connection):
    return [get(connection, prop) for prop in ("Level", "ComputedLevel", "Holds", "Services")]


def start_polkit(case, address, *actions):
    """A stand-in for polkit that allows @actions."""
    here = pathlib.Path(__file__).parent
    polkit = subprocess.Popen(
        [sys.executable, here / "fake-polkit.py", address, *actions],
        stdout=subprocess.PIPE, text=True)
    case.addCleanup(polkit.stdout.close)
    case.addCleanup(polkit.wait)
    case.addCleanup(polkit.kill)
    case.assertEqual(polkit.stdout.readline(), "ready\n")
    return polkit


class AnotherUid(busworld.BusTestCase):
    def test_every_method_of_admin_is_refused(self):
        stranger = self.stranger()
        before = read_state(self.connection)
        for method, (signature, *arguments) in EVERY_METHOD.items():
            with self.subTest(method=method):
                self.assertEqual(stranger.refused(method, signature, *arguments), DENIED)
        self.assertEqual(read_state(self.connection), before)

    def test_no_method_of_admin_is_forgotten_here(self):
        xml = call(self.connection, "Introspect", interface="org.freedesktop.DBus.Introspectable")
        node = busworld.Gio.DBusNodeInfo.new_for_xml(xml)
        methods = {method.name for method in node.lookup_interface(ADMIN).methods}
        self.assertEqual(methods, set(EVERY_METHOD))

    def test_the_hold_of_another_is_not_released(self):
        ident = hold(self.connection)
        self.assertEqual(self.stranger().refused("Release", "(s)", ident), DENIED)
        self.assert_level("minimal")

    def test_what_is_wrong_is_not_told_to_who_may_not(self):
        wrong = ("purple", "at-least", "", "", 0, {})
        self.assertEqual(self.stranger().refused("Hold", "(ssssta{sv})", *wrong), DENIED)

    def test_reading_is_for_everybody(self):
        stranger = self.stranger()
        (level, *_) = stranger.call("Explain", interface=MANAGER)
        self.assertEqual(level, "optimal")
        stranger.call("History", "(u)", 0, interface=MANAGER)
        stranger.call("GetAll", "(s)", MANAGER, interface=busworld.PROPERTIES)


class NoSetters(busworld.BusTestCase):
    def values(self):
        return call(self.connection, "GetAll", "(s)", MANAGER, interface=busworld.PROPERTIES)

    def test_properties_cannot_be_set_even_by_who_may(self):
        for prop, value in self.values().items():
            kind = {str: "s", int: "u", dict: "a{ss}", list: "aa{sv}"}[type(value)]
            if prop in ("LevelSince", "LoopLag"):
                kind = "t"
            new = GLib.Variant(kind, {"Level": "emergency"}.get(prop, value))
            with self.subTest(prop=prop):
                self.assert_refused(
                    "org.freedesktop.DBus.Error.InvalidArgs", call, self.connection, "Set", "(ssv)",
                    MANAGER, prop, new, interface=busworld.PROPERTIES)
        self.assert_level("optimal")

    def test_nor_can_those_of_services_and_breakers(self):
        objects = call(self.connection, "GetManagedObjects",
                       interface="org.freedesktop.DBus.ObjectManager")
        self.assertEqual(len(objects), 8)
        for path, interfaces in objects.items():
            for interface, values in interfaces.items():
                for prop, value in values.items():
                    new = GLib.Variant("s" if isinstance(value, str) else "t", value)
                    with self.subTest(path=path, prop=prop):
                        self.assert_refused(
                            "org.freedesktop.DBus.Error.InvalidArgs", call, self.connection, "Set",
                            "(ssv)", interface, prop, new, interface=busworld.PROPERTIES, path=path)
        # Nor is there one that came into being by it.
        self.assert_refused("org.freedesktop.DBus.Error.InvalidArgs", call, self.connection, "Set",
                            "(ssv)", ADMIN, "Level", GLib.Variant("s", "emergency"),
                            interface=busworld.PROPERTIES)

    def test_nor_by_another_uid(self):
        refused = self.stranger().refused("Set", "(ssv)", MANAGER, "Level",
                                          ["variant", "s", "emergency"],
                                          interface=busworld.PROPERTIES)
        self.assertEqual(refused, "org.freedesktop.DBus.Error.InvalidArgs")
        self.assert_level("optimal")


class ShippedPolicy(busworld.BusTestCase):
    """The bus policy, on a bus that lets nothing through of itself."""

    more = busworld.STRICT.format(policy=busworld.POLICY)

    def test_root_may_and_others_may_read(self):
        stranger = self.stranger()
        self.assertEqual(stranger.call("Explain", interface=MANAGER)[0], "optimal")
        stranger.call("GetManagedObjects", interface="org.freedesktop.DBus.ObjectManager")
        listener = Listener(self.connection)
        ident = hold(self.connection)
        call(self.connection, "Release", "(s)", ident)
        listener.until(lambda: listener.named("HoldReleased"))

    def test_the_bus_itself_refuses_admin(self):
        answer = self.stranger().send("Hold", "(ssssta{sv})", HOLD, ADMIN, busworld.NAME)
        self.assertEqual(answer["error"], DENIED)
        self.assertIn("Rejected send message", answer["text"])

    def test_only_root_owns_a_name(self):
        refused = self.stranger().refused(
            "RequestName", "(su)", "org.derate.Derate1.other", 0, interface="org.freedesktop.DBus",
            name="org.freedesktop.DBus")
        self.assertEqual(refused, DENIED)


class ShippedGroup(busworld.BusTestCase):
    """Who is in the group of the shipped policy; here it is another group, one that there is."""

    group = grp.getgrnam("games")

    def setUp(self):
        with open(busworld.POLICY, encoding="utf-8") as policy:
            text = policy.read()
        self.assertIn('<policy group="derate">', text)
        folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        self.addCleanup(folder.cleanup)
        copy = pathlib.Path(folder.name) / "policy.conf"
        copy.write_text(text.replace('group="derate"', f'group="{self.group.gr_name}"'),
                        encoding="utf-8")
        self.more = busworld.STRICT.format(policy=copy)
        super().setUp()

    def own(self, stranger, name):
        return stranger.refused("RequestName", "(su)", name, 0, interface="org.freedesktop.DBus",
                                name="org.freedesktop.DBus")

    def test_it_owns_names_and_is_no_admin(self):
        member = self.stranger([self.group.gr_gid])
        self.assertIsNone(self.own(member, "org.derate.Derate1.other"))
        self.assertEqual(self.own(member, "org.other.Derate1"), DENIED)
        self.assertEqual(self.own(self.stranger(), "org.derate.Derate1.third"), DENIED)
        self.assertEqual(member.refused("Hold", "(ssssta{sv})", *HOLD), DENIED)


class Polkit(busworld.BusTestCase):
    """On a bus that the program takes for the system's."""

    def make_program(self):
        return super().make_program(env={"DBUS_SYSTEM_BUS_ADDRESS": self.bus.address})

    def allow(self, *actions):
        return start_polkit(self, self.bus.address, *actions)

    def test_without_polkit_nobody_else_may(self):
        self.assertEqual(self.stranger().refused("Hold", "(ssssta{sv})", *HOLD), DENIED)

    def test_it_is_asked_about_the_caller_and_the_action(self):
        polkit = self.allow()
        stranger = self.stranger()
        for method, arguments, action in (
                ("Hold", ("(ssssta{sv})", *HOLD), "org.derate.hold"),
                ("Hold", ("(ssssta{sv})", *EXACT), "org.derate.hold-exact"),
                ("ReleaseAll", ("(s)", "because"), "org.derate.manage"),
                ("TripBreaker", ("(sst)", "s3", "because", 0), "org.derate.manage")):
            with self.subTest(method=method, action=action):
                self.assertEqual(stranger.refused(method, *arguments), DENIED)
                self.assertEqual(polkit.stdout.readline(),
                                 f"system-bus-name {stranger.unique_name} {action}\n")
        self.assert_level("optimal")

    def test_who_may_hold_may_hold_and_no_more(self):
        self.allow("org.derate.hold")
        stranger = self.stranger()
        mine = hold(self.connection)
        (ident,) = stranger.call("Hold", "(ssssta{sv})", *HOLD)
        self.assertEqual([entry["uid"] for entry in get(self.connection, "Holds")],
                         [os.geteuid(), stranger.UID])
        self.assertEqual(stranger.refused("Hold", "(ssssta{sv})", *EXACT), DENIED)
        self.assertEqual(stranger.refused("ReleaseAll", "(s)", "because"), DENIED)
        self.assertEqual(stranger.refused("Release", "(s)", mine), NOT_OWNER)
        self.assertEqual(stranger.refused("Renew", "(st)", mine, SECOND), NOT_OWNER)
        stranger.call("Renew", "(st)", ident, 60 * SECOND)
        stranger.call("Release", "(s)", ident)
        self.assertEqual([entry["id"] for entry in get(self.connection, "Holds")], [mine])

    def test_who_may_manage_renews_and_releases_what_is_anothers(self):
        self.allow("org.derate.hold", "org.derate.manage")
        stranger = self.stranger()
        listener = Listener(self.connection)
        ident = hold(self.connection)
        stranger.call("Renew", "(st)", ident, 90 * SECOND)
        (shown,) = get(self.connection, "Holds")
        self.assertEqual(shown["expires"] - shown["since"], 90 * SECOND)
        stranger.call("Release", "(s)", ident)
        self.assertEqual(get(self.connection, "Holds"), [])
        listener.until(lambda: listener.named("HoldReleased"))
        self.assertEqual(listener.named("HoldReleased"), [(ident, "overridden")])

    def test_a_stranger_that_crashes_takes_its_bound_hold_along(self):
        self.allow("org.derate.hold")
        stranger = self.stranger()
        stranger.call("Hold", "(ssssta{sv})", "emergency", "at-least", "ana", "test", 0,
                      {"bind": "caller"})
        self.assert_level("emergency")
        listener = Listener(self.connection)
        stranger.die()
        listener.until(lambda: not get(self.connection, "Holds"))
        self.program.advance(30 * SECOND)
        self.assert_level("optimal")


class FalsePolkit(busworld.BusTestCase):
    """The program is not on the system's bus. On its own anybody may call himself polkit, and on the
    system's the unique name of the caller is somebody else's."""

    def make_program(self):
        self.system = busworld.Bus()
        self.addCleanup(self.system.close)
        return super().make_program(env={"DBUS_SYSTEM_BUS_ADDRESS": self.system.address})

    def test_is_not_believed(self):
        stranger = self.stranger()
        for address in (self.bus.address, self.system.address):
            start_polkit(self, address, "org.derate.hold", "org.derate.hold-exact",
                         "org.derate.manage")
            for method, (signature, *arguments) in EVERY_METHOD.items():
                with self.subTest(method=method):
                    self.assertEqual(stranger.refused(method, signature, *arguments), DENIED)


if __name__ == "__main__":
    busworld.enter_namespace()
    taprunner.main()
