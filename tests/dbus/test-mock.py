# SPDX-License-Identifier: LGPL-2.1-or-later
"""The template of python-dbusmock is like a program: the same interfaces, answers and refusals."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

import busworld
from busworld import (ADMIN, HOUR, MANAGER, PATH, PROPERTIES, SECOND, Failed, Listener, call, connect,
                      get, hold)

import taprunner
from gi.repository import Gio, GLib

TEMPLATE = os.environ["DERATE_DBUSMOCK"]
XML = pathlib.Path(os.environ["DERATE_DBUS_XML"])
MOCK = "org.freedesktop.DBus.Mock"
NAME = "org.derate.Derate1.mock"
SERVICE = "org.derate.Derate1.Service"
BREAKER = "org.derate.Derate1.Breaker"
ERROR = "org.derate.Derate1.Error."
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PARAMETERS = {"services": {"database": "healthy", "redis": "healthy"}, "breakers": ["database", "redis"],
              "features": {"ai": "on", "writes": "on"}}


class MockTestCase(unittest.TestCase):
    def setUp(self):
        self.bus = busworld.Bus()
        self.addCleanup(self.bus.close)
        self.connection = connect(self.bus.address)
        self.start_mock()

    def start_mock(self, name="mock", parameters=None):
        """The mock, once it has its name and its services."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dbusmock", "--session", "--logfile", os.devnull, "--template",
             TEMPLATE, "--parameters", json.dumps(parameters or PARAMETERS)],
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": self.bus.address, "DERATE_MOCK_NAME": name})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        listener = Listener(self.connection, "org.freedesktop.DBus")
        listener.until(lambda: any(owned == f"org.derate.Derate1.{name}" and owner for owned, _, owner in
                                   listener.named("NameOwnerChanged")), seconds=30)
        listener.stop()
        while len(self.objects(name=f"org.derate.Derate1.{name}")) < len(PARAMETERS["breakers"]) * 2:
            pass  # it has its name before it is loaded

    def call(self, method, signature=None, *arguments, interface=ADMIN, connection=None, **where):
        return call(connection or self.connection, method, signature, *arguments, interface=interface,
                    **{"name": NAME, **where})

    def mock(self, method, signature=None, *arguments, **where):
        return self.call(method, signature, *arguments, interface=MOCK, **where)

    def hold(self, connection=None, **values):
        return hold(connection or self.connection, name=NAME, **values)

    def get(self, prop, interface=MANAGER, path=PATH):
        return get(self.connection, prop, interface=interface, name=NAME, path=path)

    def objects(self, name=NAME):
        try:
            return call(self.connection, "GetManagedObjects", interface=OBJECT_MANAGER, name=name)
        except Failed:
            return {}

    def refused(self, error, function, *arguments, **options):
        with self.assertRaises(Failed) as caught:
            function(*arguments, **options)
        self.assertEqual(caught.exception.name, error)

    def ctl(self, *words, status=0):
        code, output, errors = busworld.deratectl(self.bus, *words)
        self.assertEqual(code, status, f"{words}: {output}{errors}")
        return output


class Description(MockTestCase):
    """What it says of itself, beside data/dbus."""

    def introspect(self, path):
        xml = self.call("Introspect", interface=INTROSPECTABLE, path=path)
        return Gio.DBusNodeInfo.new_for_xml(xml)

    def compare(self, path, interface):
        (written,) = Gio.DBusNodeInfo.new_for_xml(
            (XML / f"{interface}.xml").read_text(encoding="utf-8")).interfaces
        shown = self.introspect(path).lookup_interface(interface)

        def types(arguments):
            return "".join(argument.signature for argument in arguments)

        def members(info):
            methods = {method.name: (types(method.in_args), types(method.out_args),
                                     [argument.name for argument in method.in_args])
                       for method in info.methods}
            signals = {signal.name: (types(signal.args), [argument.name for argument in signal.args])
                       for signal in info.signals}
            properties = {prop.name: prop.signature for prop in info.properties}
            return methods, signals, properties

        for mine, theirs in zip(members(shown), members(written)):
            self.assertEqual(mine, theirs)

    def test_manager(self):
        self.compare(PATH, MANAGER)

    def test_admin(self):
        self.compare(PATH, ADMIN)

    def test_service(self):
        self.compare(f"{PATH}/service/redis", SERVICE)

    def test_breaker(self):
        self.compare(f"{PATH}/breaker/redis", BREAKER)

    def test_every_file_is_compared(self):
        self.assertEqual({file.stem for file in XML.glob("*.xml")}, {MANAGER, ADMIN, SERVICE, BREAKER})


class Likeness(busworld.BusTestCase, MockTestCase):
    """Beside a program on the same bus."""

    def setUp(self):
        super().setUp()
        self.start_mock(parameters={"services": {name: "healthy" for name in
                                                 ("database", "redis", "openai", "s3")},
                                    "breakers": ["database", "redis", "openai", "s3"],
                                    "features": {}})

    def shape(self, value):
        """The value without what it says: the keys and kinds."""
        if isinstance(value, dict):
            return {key: self.shape(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.shape(value[0])] if value else []
        return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value)

    def test_wrong_calls_are_refused_alike(self):
        a_hold = ("ssssta{sv}", "minimal", "at-least", "ana", "test", 60 * SECOND, {})
        wrong = [("Hold", "(ssssta{sv})", *(a_hold[1:1 + place] + (bad,) + a_hold[2 + place:]))
                 for place, bad in ((0, "purple"), (0, ""), (1, "at-most"), (2, ""), (2, "x" * 257),
                                    (3, " "), (3, "x" * 257), (4, SECOND - 1), (4, 24 * HOUR + 1),
                                    (5, {"bind": GLib.Variant("s", "everybody")}),
                                    (5, {"colour": GLib.Variant("s", "blue")}))]
        wrong += [("Hold", "(ssssta{sv})", "minimal", "at-least", "ana", "test", 0,
                   {"bind": GLib.Variant("s", "none")}),
                  ("Renew", "(st)", "none", SECOND), ("Release", "(s)", "none"),
                  ("ReleaseAll", "(s)", ""),
                  ("TripBreaker", "(sst)", "nothing", "test", 0), ("TripBreaker", "(sst)", "s3", "", 0),
                  ("TripBreaker", "(sst)", "s3", "test", 25 * HOUR),
                  ("CloseBreaker", "(ss)", "nothing", "test"), ("ResetBreaker", "(ss)", "s3", ""),
                  ("ResetAllBreakers", "(s)", " "),
                  ("SetBreakerMode", "(ssst)", "s3", "open", "test", SECOND),
                  ("SetBreakerMode", "(ssst)", "s3", "disabled", "test", SECOND - 1),
                  ("CheckService", "(s)", "nothing"), ("StopDrill", "(s)", "none")]
        down, nothing = {"down": GLib.Variant("b", True)}, {"colour": GLib.Variant("s", "blue")}
        wrong += [("Drill", "(sa{sv}ta{sv})", *arguments) for arguments in (
            ("nothing", down, 60 * SECOND, {}), ("redis", {}, 60 * SECOND, {}),
            ("redis", nothing, 60 * SECOND, {}), ("redis", down, SECOND - 1, {}),
            ("redis", down, HOUR + 1, {}))]
        for method, signature, *arguments in wrong:
            errors = []
            for name in (busworld.NAME, NAME):
                with self.assertRaises(Failed) as caught:
                    call(self.connection, method, signature, *arguments, name=name)
                errors.append(caught.exception.name)
            with self.subTest(method=method, arguments=arguments):
                self.assertEqual(errors[1], errors[0])
                self.assertTrue(errors[0].startswith(ERROR), errors[0])

    def test_what_is_asked_is_answered_alike(self):
        answers = []
        for name in (busworld.NAME, NAME):
            hold(self.connection, name=name)
            call(self.connection, "TripBreaker", "(sst)", "s3", "test", 0, name=name)
            answers.append([
                self.shape(call(self.connection, "GetAll", "(s)", MANAGER, interface=PROPERTIES, name=name)),
                self.shape(call(self.connection, "History", "(u)", 0, interface=MANAGER, name=name)),
                call(self.connection, "CheckService", "(s)", "redis", name=name)])
            answers[-1][0].pop("Features")  # the program's own
        self.assertEqual(answers[1], answers[0])

    def test_dumps_have_the_same_keys(self):
        for what in ("status", "breakers", "health"):
            shapes = []
            for name in (busworld.NAME, NAME):
                if what == "status":
                    hold(self.connection, name=name)
                dumped = json.loads(call(self.connection, "Dump", "(s)", what, interface=MANAGER, name=name))
                dumped.pop("features", None)
                shapes.append(self.keys(dumped))
            with self.subTest(what=what):
                self.assertEqual(shapes[1], shapes[0])

    def keys(self, value):
        """As shape (), but a value that may be missing is as good as one that is there."""
        if isinstance(value, dict):
            return {key: self.keys(member) for key, member in sorted(value.items())}
        return [self.keys(value[0])] if isinstance(value, list) and value else None


class Control(MockTestCase):
    def test_a_level(self):
        listener = Listener(self.connection, NAME)
        self.mock("SetLevel", "(ss)", "limited", "ai-and-cache")
        listener.until(lambda: listener.named("LevelChanged"))
        self.assertEqual(listener.named("LevelChanged"), [
            ("optimal", "limited", "ai-and-cache",
             {"computed": "limited", "inputs": PARAMETERS["services"], "hold": ""})])
        told = [member for member, *_ in listener.heard if member != "MethodCalled"]
        self.assertEqual(told, ["PropertiesChanged", "LevelChanged"])
        self.assertEqual((self.get("Level"), self.get("LevelValue"), self.get("Reason")),
                         ("limited", 3, "ai-and-cache"))
        (step,) = self.call("History", "(u)", 0, interface=MANAGER)
        self.assertEqual((step["from"], step["to"], step["rule"]), ("optimal", "limited", "ai-and-cache"))
        self.assertEqual(self.call("Explain", interface=MANAGER)[:2], ("limited", "ai-and-cache"))

    def test_services(self):
        listener = Listener(self.connection, NAME)
        path = self.mock("AddService", "(sss)", "mail-relay_2", "healthy", "low")
        self.assertEqual(path, f"{PATH}/service/mail_2drelay_5f2")
        self.mock("SetServiceStatus", "(sss)", "mail-relay_2", "down", "refused")
        self.assertEqual(self.get("Services")["mail-relay_2"], "down")
        self.assertEqual(self.objects()[path][SERVICE]["Cause"], "refused")
        self.assertEqual(self.call("CheckService", "(s)", "mail-relay_2"), ("down", "refused"))
        self.mock("SetLevel", "(ss)", "degraded", "dependency-down")
        listener.until(lambda: listener.named("LevelChanged"))
        self.assertEqual(listener.named("LevelChanged")[0][3]["inputs"], {"mail-relay_2": "down"})
        self.mock("RemoveService", "(s)", "mail-relay_2")
        listener.until(lambda: listener.named("InterfacesRemoved"))
        self.assertEqual([added for added, _ in listener.named("InterfacesAdded")], [path])
        self.assertEqual(listener.named("InterfacesRemoved"), [(path, [SERVICE])])
        self.assertNotIn("mail-relay_2", self.get("Services"))

    def test_breakers(self):
        path = self.mock("AddBreaker", "(s)", "own")
        self.mock("SetBreakerState", "(sst)", "own", "open", 7 * SECOND)
        self.assertEqual((self.get("State", BREAKER, path), self.get("RetryAfterUsec", BREAKER, path)),
                         ("open", 7 * SECOND))
        self.call("CloseBreaker", "(ss)", "own", "test")
        self.assertEqual(self.get("State", BREAKER, path), "closed")
        self.call("SetBreakerMode", "(ssst)", "own", "forced-open", "test", 0)
        self.assertEqual((self.get("State", BREAKER, path), self.get("Mode", BREAKER, path)),
                         ("open", "forced-open"))
        self.assertEqual(self.call("ResetAllBreakers", "(s)", "test"), 3)
        self.mock("RemoveBreaker", "(s)", "own")
        self.refused(ERROR + "NoSuchBreaker", self.call, "CloseBreaker", "(ss)", "own", "test")

    def test_the_rest(self):
        self.mock("SetFeature", "(ss)", "ai", "off")
        self.assertEqual(self.get("Features"), {"ai": "off", "writes": "on"})
        self.mock("SetReload", "(ass)", ["service s3 added"], "")
        self.assertEqual(self.call("Reload"), ["service s3 added"])
        self.mock("SetReload", "(ass)", [], "shop.conf: no such key")
        self.refused(ERROR + "InvalidConfig", self.call, "Reload")
        self.mock("Deny", "(as)", ["Hold"])
        self.refused("org.freedesktop.DBus.Error.AccessDenied", self.hold)
        self.mock("Deny", "(as)", [])
        listener = Listener(self.connection, NAME)
        self.mock("EmitLevelChanged", "(sssa{sv})", "optimal", "emergency", "r", {})
        listener.until(lambda: listener.named("LevelChanged"))
        self.assertEqual(listener.named("LevelChanged"), [("optimal", "emergency", "r", {})])
        self.assertEqual(self.get("Level"), "optimal")
        ident = self.call("Drill", "(sa{sv}ta{sv})", "redis", {"down": GLib.Variant("b", True)},
                          60 * SECOND, {})
        (shown,) = self.get("Drills")
        self.assertEqual((shown["id"], shown["fault"], shown["rate"]), (ident, "down", 1))
        self.assertEqual(self.call("StopDrill", "(s)", ident)["service"], "redis")

    def test_properties_cannot_be_set(self):
        for path, interface, prop in ((PATH, MANAGER, "Level"), (f"{PATH}/breaker/redis", BREAKER, "State")):
            self.refused("org.freedesktop.DBus.Error.InvalidArgs", self.call, "Set", "(ssv)", interface,
                         prop, GLib.Variant("s", "emergency"), interface=PROPERTIES, path=path)
        self.assertEqual(self.get("Level"), "optimal")


class Holds(MockTestCase):
    def ids(self):
        return [entry["id"] for entry in self.get("Holds")]

    def test_the_worst_floor_and_the_latest_exact(self):
        floor = self.hold(level="limited")
        worse = self.hold(level="minimal")
        exact = self.hold(level="degraded", mode="exact")
        self.assertEqual(self.get("Level"), "minimal")
        self.call("Release", "(s)", worse)
        self.assertEqual(self.get("Level"), "limited")
        self.call("Release", "(s)", floor)
        self.assertEqual((self.get("Level"), self.get("ComputedLevel"), self.get("Reason")),
                         ("degraded", "optimal", "hold"))
        self.call("Release", "(s)", exact)
        self.assertEqual(self.get("Level"), "optimal")

    def test_who_is_told_of_the_end(self):
        holder, other = Listener(self.connection, NAME), Listener(connect(self.bus.address), NAME)
        released = self.hold()
        self.call("Release", "(s)", released)
        expired = self.hold(ttl=SECOND)
        holder.until(lambda: len(holder.named("HoldReleased")) == 2)
        overridden = self.hold()
        self.mock("EndHold", "(ss)", overridden, "overridden")
        self.mock("AddHold", "(ssssut)", "minimal", "at-least", "eva", "test", 7, 0)
        self.assertEqual(self.call("ReleaseAll", "(s)", "test"), 1)
        holder.until(lambda: len(holder.named("HoldReleased")) == 3)
        self.assertEqual(holder.named("HoldReleased"),
                         [(released, "released"), (expired, "expired"), (overridden, "overridden")])
        other.until(lambda: len(other.named("LevelChanged")) == 8)
        self.assertEqual(other.named("HoldReleased"), [])

    def test_a_holder_that_leaves(self):
        holder = connect(self.bus.address)
        self.hold(holder, ttl=0)
        stays = self.hold(holder, ttl=HOUR)
        listener = Listener(self.connection, NAME)
        holder.close_sync(None)
        listener.until(lambda: len(self.ids()) == 1)
        self.assertEqual(self.ids(), [stays])

    def test_renew(self):
        ident = self.hold(ttl=SECOND)
        self.call("Renew", "(st)", ident, HOUR)
        (shown,) = self.get("Holds")
        self.assertGreater(shown["expires"], shown["since"] + 1800 * SECOND)
        self.refused(ERROR + "InvalidTtl", self.call, "Renew", "(st)", ident, 0)

    def test_ten_a_caller(self):
        for _ in range(10):
            self.hold()
        self.refused(ERROR + "LimitExceeded", self.hold)


class Clients(MockTestCase):
    def test_deratectl(self):
        self.mock("SetServiceStatus", "(sss)", "redis", "down", "refused")
        self.mock("SetLevel", "(ss)", "degraded", "dependency-down")
        lines = self.ctl("status").splitlines()
        self.assertTrue(lines[0].startswith("DEGRADED  "), lines[0])
        self.assertRegex(lines[1], "redis down.*dependency-down")
        ident = self.ctl("hold", "minimal", "--reason", "moving", "--for", "1h").split()[0]
        self.assertEqual(self.get("Level"), "minimal")
        (line,) = [line for line in self.ctl("status").splitlines() if line.startswith("  hold ")]
        for word in (ident, "at least minimal", "moving"):
            self.assertIn(word, line)
        self.assertEqual(json.loads(self.ctl("status", "--json"))["holds"][0]["id"], ident)
        self.ctl("release", ident)
        self.assertEqual(self.get("Level"), "degraded")
        self.ctl("release", ident, status=3)
        self.assertIn("dependency-down", self.ctl("explain"))
        self.assertEqual(len(self.ctl("history").splitlines()), 4)
        self.assertEqual([line.split()[:2] for line in self.ctl("list").splitlines()],
                         [["PROGRAM", "LEVEL"], ["mock", "degraded"]])
        self.ctl("breaker", "trip", "redis", "--reason", "test")
        self.assertEqual(self.ctl("breaker", "list").splitlines()[1].split()[:2], ["redis", "open"])
        self.mock("Deny", "(as)", ["Release", "ReleaseAll"])
        self.ctl("release", "--all", status=4)

    def test_several_of_them(self):
        self.start_mock("till")
        self.ctl("status", status=2)
        self.ctl("--name", "till", "hold", "minimal", "--reason", "test", "--for", "1m")
        self.assertEqual(get(self.connection, "Level", name="org.derate.Derate1.till"), "minimal")
        self.assertEqual(self.get("Level"), "optimal")

    def test_a_proxy_keeps_up(self):
        proxy = Gio.DBusProxy.new_sync(self.connection, Gio.DBusProxyFlags.NONE, None, NAME, PATH, MANAGER)
        self.assertEqual(proxy.get_cached_property("Level").unpack(), "optimal")
        proxy.connect("g-signal", lambda _proxy, _sender, member, values: steps.append(
            (member, values.unpack()[:2])))
        steps = []
        listener = Listener(self.connection, NAME)
        self.hold(level="emergency")
        listener.until(lambda: steps)
        self.assertEqual(steps, [("LevelChanged", ("optimal", "emergency"))])
        self.assertEqual(proxy.get_cached_property("Level").unpack(), "emergency")
        self.assertEqual(len(proxy.get_cached_property("Holds").unpack()), 1)

    def test_an_object_manager_keeps_up(self):
        client = Gio.DBusObjectManagerClient.new_sync(
            self.connection, Gio.DBusObjectManagerClientFlags.NONE, NAME, PATH, None, None, None)
        added, removed = [], []
        client.connect("object-added", lambda _client, child: added.append(child.get_object_path()))
        client.connect("object-removed", lambda _client, child: removed.append(child.get_object_path()))
        self.assertEqual(len(client.get_objects()), 4)
        listener = Listener(self.connection, NAME)
        path = self.mock("AddService", "(sss)", "mail", "degraded", "low")
        listener.until(lambda: added)
        self.assertEqual(client.get_interface(path, SERVICE).get_cached_property("Status").unpack(),
                         "degraded")
        self.mock("SetServiceStatus", "(sss)", "mail", "healthy", "")
        listener.until(lambda: client.get_interface(path, SERVICE).get_cached_property(
            "Status").unpack() == "healthy")
        self.mock("RemoveService", "(s)", "mail")
        listener.until(lambda: removed)
        self.assertEqual((added, removed), ([path], [path]))


if __name__ == "__main__":
    taprunner.main()
