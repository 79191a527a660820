# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program shows: level, services, breakers, and why."""
import json
import shutil
import subprocess

import busworld
from busworld import MANAGER, PATH, PROPERTIES, SECOND, Listener, Program, call, get, hold

import taprunner

TICK = 30 * SECOND
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
SERVICE = "org.derate.Derate1.Service"
BREAKER = "org.derate.Derate1.Breaker"
BUS = {"interface": "org.freedesktop.DBus", "name": "org.freedesktop.DBus",
       "path": "/org/freedesktop/DBus"}


class Shown(busworld.BusTestCase):
    def objects(self):
        return call(self.connection, "GetManagedObjects", interface=OBJECT_MANAGER)

    def test_properties_of_a_program_that_is_well(self):
        shown = call(self.connection, "GetAll", "(s)", MANAGER, interface=PROPERTIES)
        self.assertGreater(shown.pop("LevelSince"), 0)
        self.assertEqual(shown, {
            "Version": "1.0.0", "Level": "optimal", "LevelValue": 1, "ComputedLevel": "optimal",
            "Reason": "all-well", "LoopLag": 0, "Holds": [], "Drills": [],
            "Services": {name: "healthy" for name in ("database", "redis", "openai", "s3")},
            "Features": {name: "on"
                         for name in ("ai", "cache", "uploads", "writes", "reads", "status")}})

    def test_the_reason_is_what_decided(self):
        def reason():
            explained = call(self.connection, "Explain", interface=MANAGER)
            self.assertEqual(get(self.connection, "Reason"), explained[1])
            return get(self.connection, "Level"), explained[1]

        self.program.ask("fail s3 3")
        self.assertEqual(reason(), ("degraded", "dependency-down"))
        call(self.connection, "ResetBreaker", "(ss)", "s3", "test", interface=busworld.ADMIN)
        self.assertEqual(get(self.connection, "ComputedLevel"), "optimal")
        self.assertEqual(reason(), ("degraded", "dependency-down"))
        self.program.ask("set limited")
        self.assertEqual(reason(), ("limited", "set-level"))
        hold(self.connection, level="minimal", ttl=SECOND)
        self.assertEqual(reason(), ("minimal", "hold"))
        self.program.advance(SECOND)
        self.assertEqual(get(self.connection, "Holds"), [])
        self.assertEqual(reason(), ("limited", "set-level"))
        self.program.advance(2 * TICK)
        self.assertEqual(reason(), ("optimal", "all-well"))

    def test_steps_are_told_one_by_one_and_in_order(self):
        listener = Listener(self.connection)
        for name in ("s3", "redis", "openai", "database"):
            self.program.ask(f"fail {name} 3")
        listener.until(lambda: len(listener.named("LevelChanged")) == 3)
        steps = [(old, new, rule) for old, new, rule, _ in listener.named("LevelChanged")]
        self.assertEqual(steps, [("optimal", "degraded", "dependency-down"),
                                 ("degraded", "limited", "ai-and-cache"),
                                 ("limited", "emergency", "reads-impossible")])
        details = listener.named("LevelChanged")[1][3]
        self.assertEqual(details, {"computed": "limited", "hold": "",
                                   "inputs": {"redis": "down", "openai": "down"}})

    def test_a_step_by_a_hold_names_it(self):
        listener = Listener(self.connection)
        ident = hold(self.connection)
        listener.until(lambda: listener.named("LevelChanged"))
        (old, new, _, details), = listener.named("LevelChanged")
        self.assertEqual((old, new, details["computed"], details["hold"]),
                         ("optimal", "minimal", "optimal", ident))

    def test_properties_are_told_before_the_step(self):
        listener = Listener(self.connection)
        self.program.ask("fail s3 3")
        listener.until(lambda: listener.named("LevelChanged"))
        members = [(member, path) for member, path, _, _ in listener.heard]
        told = members.index(("PropertiesChanged", PATH))
        self.assertLess(told, members.index(("LevelChanged", PATH)))
        interface, changed, _ = listener.heard[told][3]
        self.assertEqual((interface, changed["Level"], changed["LevelValue"]),
                         (MANAGER, "degraded", 2))
        self.assertNotIn("Version", changed)
        self.assertNotIn("LoopLag", changed)
        self.assertEqual(changed["Services"]["s3"], "down")

    def test_nothing_is_told_when_nothing_changes(self):
        listener = Listener(self.connection)
        self.program.ask("succeed s3 5")
        self.program.advance(TICK)
        hold(self.connection, level="optimal")
        listener.until(lambda: listener.heard)
        self.assertEqual(len(listener.heard), 1, listener.heard)
        self.assertEqual(list(listener.heard[0][3][1]), ["Holds"])

    def test_services_and_breakers_are_objects(self):
        self.program.ask("fail s3 3")
        objects = self.objects()
        kinds = [path.removeprefix(PATH).split("/")[1] for path in objects]
        self.assertEqual((kinds.count("service"), kinds.count("breaker")), (4, 4))
        service = objects[f"{PATH}/service/s3"][SERVICE]
        self.assertEqual((service["Name"], service["Status"], service["Cause"], service["Criticality"]),
                         ("s3", "down", "breaker-open", "low"))
        breaker = objects[f"{PATH}/breaker/s3"][BREAKER]
        self.assertEqual((breaker["State"], breaker["Mode"]), ("open", "normal"))
        self.assertGreaterEqual(breaker["RetryAfterUsec"], 60 * SECOND)
        self.program.advance(SECOND)
        self.assertLess(get(self.connection, "RetryAfterUsec", interface=BREAKER,
                            path=f"{PATH}/breaker/s3"), breaker["RetryAfterUsec"])

    def test_last_check_is_never_old(self):
        path = f"{PATH}/service/redis"
        first = get(self.connection, "LastCheck", interface=SERVICE, path=path)
        self.program.advance(60 * SECOND)
        self.assertGreaterEqual(get(self.connection, "LastCheck", interface=SERVICE, path=path),
                                first + 40 * SECOND)

    def test_an_object_tells_of_itself(self):
        listener = Listener(self.connection)
        self.program.ask("fail s3 3")
        listener.until(lambda: listener.named("LevelChanged"))
        told = {path: parameters[1] for member, path, _, parameters in listener.heard
                if member == "PropertiesChanged"}
        self.assertEqual(told[f"{PATH}/service/s3"]["Status"], "down")
        self.assertEqual(told[f"{PATH}/breaker/s3"]["State"], "open")
        self.assertNotIn("RetryAfterUsec", told[f"{PATH}/breaker/s3"])

    def test_a_service_that_comes_later_is_added(self):
        listener = Listener(self.connection)
        self.program.ask("service mail-relay_2")
        listener.until(lambda: len(listener.named("InterfacesAdded")) == 2)
        self.assertEqual({path for path, _ in listener.named("InterfacesAdded")},
                         {f"{PATH}/service/mail_2drelay_5f2", f"{PATH}/breaker/mail_2drelay_5f2"})
        self.assertEqual(get(self.connection, "Name", interface=SERVICE,
                             path=f"{PATH}/service/mail_2drelay_5f2"), "mail-relay_2")

    def test_a_breaker_that_the_program_makes_and_forgets(self):
        path = f"{PATH}/breaker/pay_c3_a9_2f1"
        listener = Listener(self.connection)
        self.program.ask("breaker payé/1")
        listener.until(lambda: listener.named("InterfacesAdded"))
        ((added, interfaces),) = listener.named("InterfacesAdded")
        self.assertEqual((added, list(interfaces), interfaces[BREAKER]["Name"]),
                         (path, [BREAKER], "payé/1"))
        self.assertIn(path, self.objects())
        self.program.ask("forget payé/1")
        listener.until(lambda: listener.named("InterfacesRemoved"))
        self.assertEqual(listener.named("InterfacesRemoved"), [(path, [BREAKER])])
        self.assertNotIn(path, self.objects())

    def test_history_is_newest_first(self):
        self.program.ask("fail s3 3")
        self.program.advance(SECOND)
        self.program.ask("fail redis 3")
        self.program.ask("fail database 3")
        history = call(self.connection, "History", "(u)", 0, interface=MANAGER)
        self.assertEqual([(entry["from"], entry["to"]) for entry in history],
                         [("degraded", "emergency"), ("optimal", "degraded")])
        self.assertEqual(history[0]["time"] - history[1]["time"], SECOND)
        self.assertEqual(call(self.connection, "History", "(u)", 1, interface=MANAGER), history[:1])

    def test_explain_tells_the_whole_story(self):
        self.program.ask("fail s3 3")
        ident = hold(self.connection, who="ana", reason="new disks")
        level, _, _, lines = call(self.connection, "Explain", interface=MANAGER)
        text = "\n".join(lines)
        self.assertEqual(level, "minimal")
        for word in ("minimal", ident, "ana", "new disks", "s3", "down", "breaker-open",
                     "dependency-down"):
            self.assertIn(word, text)

    def test_dump_is_json_of_three_kinds(self):
        dumps = {what: json.loads(call(self.connection, "Dump", "(s)", what, interface=MANAGER))
                 for what in ("status", "breakers", "health")}
        self.assertEqual(dumps["status"]["level"], "optimal")
        self.assertEqual(list(dumps["breakers"]), sorted(dumps["breakers"], key=list(
            dumps["breakers"]).index))
        self.assertEqual(dumps["breakers"]["s3"]["state"], "closed")
        self.assertEqual(dumps["health"]["status"], "pass")
        self.assert_refused("org.derate.Derate1.Error.InvalidArgument", call, self.connection, "Dump",
                            "(s)", "everything", interface=MANAGER)

    def test_no_secret_is_shown_anywhere(self):
        self.program.ask("check down")
        self.program.advance(60 * SECOND)
        self.assertEqual(get(self.connection, "Services")["redis"], "down")
        texts = [json.dumps(self.objects()),
                 json.dumps(call(self.connection, "GetAll", "(s)", MANAGER, interface=PROPERTIES)),
                 json.dumps(call(self.connection, "Explain", interface=MANAGER))]
        texts += [call(self.connection, "Dump", "(s)", what, interface=MANAGER)
                  for what in ("status", "breakers", "health")]
        everything = "\n".join(texts)
        self.assertIn("cache:6379 refused", everything)
        self.assertNotIn("planted-secret", everything)


class OtherTools(busworld.BusTestCase):
    """Those that read the description of the objects."""

    def say(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_gdbus(self):
        self.program.ask("service mail-relay_2")
        path = f"{PATH}/service/mail_2drelay_5f2"
        where = ("--address", self.bus.address, "--dest", busworld.NAME, "--object-path")
        tree = self.say("gdbus", "introspect", *where, PATH, "--recurse")
        for word in (f"node {path} {{", f"node {PATH}/breaker/s3 {{", f"interface {MANAGER} {{",
                     f"interface {busworld.ADMIN} {{", "readonly s Level = 'optimal';",
                     "readonly s Criticality = 'medium';", "GetManagedObjects("):
            self.assertIn(word, tree)
        told = self.say("gdbus", "call", *where, path, "--method", f"{PROPERTIES}.Get", SERVICE, "Name")
        self.assertEqual(told, "(<'mail-relay_2'>,)\n")

    def test_busctl(self):
        if shutil.which("busctl") is None:
            return  # it comes with systemd
        where = (f"--address={self.bus.address}", "--no-pager")
        tree = self.say("busctl", *where, "--list", "tree", busworld.NAME)
        self.assertIn(f"{PATH}/service/redis", tree.splitlines())
        table = self.say("busctl", *where, "introspect", busworld.NAME, PATH)
        self.assertRegex(table, r'(?m)^\.Level +property +s +"optimal" +emits-change$')
        self.assertRegex(table, r'(?m)^\.Version +property +s +"1\.0\.0" +const$')
        self.assertRegex(table, r"(?m)^\.Hold +method +ssssta\{sv\} +s +-$")
        self.assertRegex(table, r"(?m)^\.HoldReleased +signal +ss +- +-$")


class Names(busworld.BusTestCase):
    def owner(self, name):
        return call(self.connection, "GetNameOwner", "(s)", name, **BUS)

    def test_the_name_is_the_cores(self):
        self.assertEqual(self.program.bus_name, busworld.NAME)

    def test_a_second_program_adds_its_process(self):
        other = self.make_program()
        self.assertEqual(other.bus_name, f"{busworld.NAME}.instance{other.process.pid}")
        hold(self.connection, name=other.bus_name)
        self.assertEqual(get(self.connection, "Level", name=other.bus_name), "minimal")
        self.assert_level("optimal")

    def test_two_cores_in_a_process_do_not_touch_each_other(self):
        second = self.program.ask("second")
        self.assertEqual(second, f"{busworld.NAME}.instance{self.program.process.pid}")
        ident = hold(self.connection, name=second)
        self.assertEqual(get(self.connection, "Level", name=second), "minimal")
        self.assertEqual(get(self.connection, "Services", name=second), {})
        self.assert_refused("org.derate.Derate1.Error.NoSuchHold", call, self.connection, "Release",
                            "(s)", ident)
        self.assert_level("optimal")

    def test_a_connection_shows_one_core(self):
        self.assertIn("shows a core already", self.program.ask("again"))
        self.assert_level("optimal")

    def test_the_program_outlives_the_bus(self):
        hold(self.connection, ttl=0)
        self.connection.set_exit_on_close(False)
        self.bus.close()
        self.assertEqual(self.program.read(), "unnamed")
        self.program.advance(2 * TICK)
        self.assertEqual(self.program.ask("level"), "optimal")

    def test_stopped_it_is_gone_and_what_was_bound_ends(self):
        hold(self.connection, ttl=0)
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "forced-open", "test", 60 * SECOND)
        self.program.ask("stop")
        self.assertFalse(call(self.connection, "NameHasOwner", "(s)", busworld.NAME, **BUS))
        self.program.advance(2 * TICK)
        self.assertEqual(self.program.ask("level"), "optimal")


if __name__ == "__main__":
    taprunner.main()
