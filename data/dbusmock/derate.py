# SPDX-License-Identifier: LGPL-2.1-or-later
"""Template of python-dbusmock: a program that offers Derate on the bus, and is whatever a test says.

    python3 -m dbusmock --session --template .../derate.py

Its name on the bus is org.derate.Derate1.mock, or what DERATE_MOCK_NAME says in place of mock. It has
the interfaces Manager, Admin, Service and Breaker with their errors, signals and objects. What Admin
does shows at once; unlike in a program, what gets better does not wait, either. No rule is
evaluated: the level is what SetLevel () says, or worse while it is held. Whoever calls may do what
he likes, unless Deny () says otherwise.

The methods of org.freedesktop.DBus.Mock are AddService (), SetServiceStatus (), RemoveService (),
AddBreaker (), SetBreakerState (), RemoveBreaker (), SetFeature (), SetLevel (), AddHold (), EndHold (),
SetReload (), Deny () and EmitLevelChanged (). The parameters of the template are level, rule, services
and features, each of the last two a dictionary of names and words, and breakers, a list of names.
"""
import json
import os
import time
import uuid

import dbus
import dbus.service
from dbusmock import MOCK_IFACE, get_object, get_objects
from gi.repository import GLib

BUS_NAME = "org.derate.Derate1." + os.environ.get("DERATE_MOCK_NAME", "mock")
MAIN_OBJ = "/org/derate/Derate1"
MAIN_IFACE = "org.derate.Derate1.Manager"
SYSTEM_BUS = False
IS_OBJECT_MANAGER = True

ADMIN = "org.derate.Derate1.Admin"
SERVICE = "org.derate.Derate1.Service"
BREAKER = "org.derate.Derate1.Breaker"
VERSION = "1.0.0"
SECOND = 1_000_000
DAY = 86_400 * SECOND
REASON_MAX = 256
HOLDS_MAX, HOLDS_MAX_A_CALLER = 100, 10
OPEN_USEC = 60 * SECOND
LEVELS = {"optimal": (1, 100, "everything works"),
          "degraded": (2, 85, "complete, but slower or simpler"), "limited": (3, 60, "no AI"),
          "minimal": (4, 30, "read only"), "emergency": (5, 10, "system under maintenance")}
MODES = ("normal", "disabled", "metrics-only", "forced-open")
# Not told of when they change.
QUIET = ("Version", "Name", "LoopLag", "LastCheck", "RetryAfterUsec")


class Error(dbus.exceptions.DBusException):
    def __init__(self, name, text):
        super().__init__(text, name=f"org.derate.Derate1.Error.{name}")


class Held:
    def __init__(self, level, mode, who, reason, ttl, bound, owner, uid):
        self.id = uuid.uuid4().hex[:8]
        self.level, self.mode, self.who, self.reason = level, mode, who, reason
        self.bound, self.owner, self.uid = bound, owner, uid
        self.since = now()
        self.expires = 0
        self.timer = None
        self.last(ttl)

    def last(self, ttl):
        self.stop()
        self.expires = now() + ttl if ttl else 0

    def start(self, mock):
        if self.expires:
            left = max(self.expires - now(), 0)
            self.timer = GLib.timeout_add(left // 1000 + 1, end_hold, mock, self.id, "expired")

    def stop(self):
        if self.timer is not None:
            GLib.source_remove(self.timer)
        self.timer = None

    def show(self):
        return dbus.Dictionary({
            "id": self.id, "level": self.level, "mode": self.mode, "who": self.who,
            "reason": self.reason, "uid": dbus.UInt32(self.uid), "since": dbus.UInt64(self.since),
            "expires": dbus.UInt64(self.expires), "bound": dbus.Boolean(self.bound)}, signature="sv")


def now():
    return int(time.time() * SECOND)


def path_of(kind, name):
    escaped = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"_{byte:02x}"
                      for byte in name.encode())
    return f"{MAIN_OBJ}/{kind}/{escaped}"


def children(kind, interface):
    """By name."""
    found = [get_object(path).props[interface] for path in sorted(get_objects())
             if path.startswith(f"{MAIN_OBJ}/{kind}/")]
    return {str(props["Name"]): props for props in found}


def find(kind, name):
    if path_of(kind, name) not in get_objects():
        raise Error("NoSuchService" if kind == "service" else "NoSuchBreaker", f"no {kind} “{name}”")
    return get_object(path_of(kind, name))


def tell(obj, interface, **values):
    """Sets properties, and tells of those that are others now."""
    props = obj.props[interface]
    changed = {key: value for key, value in values.items() if props[key] != value}
    props.update(changed)
    told = {key: value for key, value in changed.items() if key not in QUIET}
    if told:
        obj.EmitSignal(dbus.PROPERTIES_IFACE, "PropertiesChanged", "sa{sv}as", (
            interface, dbus.Dictionary(told, signature="sv"), dbus.Array([], signature="s")))


def decide(mock):
    """The level, what decided, and the hold that did."""
    level, rule, ident = mock.computed, mock.rule, ""
    for hold in mock.holds.values():
        if hold.mode == "exact":
            level, rule, ident = hold.level, "hold", hold.id
    for hold in mock.holds.values():
        if hold.mode == "at-least" and LEVELS[hold.level] > LEVELS[level]:
            level, rule, ident = hold.level, "hold", hold.id
    return level, rule, ident


def refresh(mock):
    """Properties first, then the step."""
    old = str(mock.props[MAIN_IFACE]["Level"])
    level, rule, ident = decide(mock)
    services = children("service", SERVICE)
    since = mock.props[MAIN_IFACE]["LevelSince"] if level == old else dbus.UInt64(now())
    tell(mock, MAIN_IFACE, Level=level, LevelValue=dbus.UInt32(LEVELS[level][0]),
         ComputedLevel=mock.computed, Reason=rule, LevelSince=since,
         Services=dbus.Dictionary({name: props["Status"] for name, props in services.items()},
                                  signature="ss"),
         Holds=dbus.Array([hold.show() for hold in mock.holds.values()], signature="a{sv}"),
         Drills=dbus.Array(mock.drills.values(), signature="a{sv}"))
    if level == old:
        return
    mock.changes.insert(0, {"time": now(), "from": old, "to": level, "rule": rule})
    details = {"computed": mock.computed, "inputs": inputs_of(mock), "hold": ident}
    mock.EmitSignal(MAIN_IFACE, "LevelChanged", "sssa{sv}",
                    (old, level, rule, dbus.Dictionary(details, signature="sv")))


def inputs_of(_mock):
    """Those that are not healthy; where all are, all of them."""
    services = {name: props["Status"] for name, props in children("service", SERVICE).items()}
    bad = {name: status for name, status in services.items() if status != "healthy"}
    return dbus.Dictionary(bad or services, signature="ss")


def end_hold(mock, ident, cause):
    hold = mock.holds.pop(ident)
    if cause == "expired":
        hold.timer = None  # it is the one that calls
    hold.stop()
    refresh(mock)
    if hold.owner and cause != "vanished":
        mock.EmitSignalDetailed(ADMIN, "HoldReleased", "ss", (ident, cause),
                                {"destination": hold.owner})
    return GLib.SOURCE_REMOVE


def on_owner(mock, sender, owner):
    if owner:
        return
    for hold in [hold for hold in mock.holds.values() if hold.bound and hold.owner == sender]:
        end_hold(mock, hold.id, "vanished")
    mock.watches.pop(sender).cancel()


def admit(mock, method):
    if method in mock.denied:
        raise dbus.exceptions.DBusException(f"uid 65534 may not call {method}",
                                            name="org.freedesktop.DBus.Error.AccessDenied")


def check_text(what, text):
    if not text.strip() or len(text.encode()) > REASON_MAX:
        raise Error("InvalidReason", f"{what} of 1 to {REASON_MAX} bytes is required")


def check_ttl(ttl, zero=False):
    if not (SECOND <= ttl <= DAY or (zero and ttl == 0)):
        raise Error("InvalidTtl", f"a time to live of {ttl} µs: it must be 1s to 24h"
                    + (", or 0" if zero else ""))


def check_level(level, mode):
    if level not in LEVELS:
        raise Error("UnknownLevel", f"no level “{level}”")
    if mode not in ("at-least", "exact"):
        raise Error("UnknownMode", f"no hold mode “{mode}”: at-least or exact")


def find_hold(mock, ident, sender):
    hold = mock.holds.get(ident)
    if hold is None:
        raise Error("NoSuchHold", f"no hold “{ident}”")
    uid = mock.bus_name.get_bus().get_unix_user(sender)
    own = hold.owner == sender or (not hold.bound and hold.owner and hold.uid == uid)
    if not own and uid not in (0, os.geteuid()):
        raise Error("NotOwner", f"hold “{ident}” is another caller's")
    return hold, "released" if own else "overridden"


def add_child(mock, kind, interface, name, props):
    path = path_of(kind, name)
    mock.AddObject(path, interface, dbus.Dictionary({"Name": name, **props}, signature="sv"), [])
    mock.object_manager_emit_added(path)
    return path


def remove_child(mock, kind, name):
    path = find(kind, name).path
    mock.object_manager_emit_removed(path)
    mock.RemoveObject(path)


# org.derate.Derate1.Manager

@dbus.service.method(MAIN_IFACE, in_signature="", out_signature="ssa{ss}as")
def Explain(self):
    level, rule, _ = decide(self)
    lines = [f"{level}: {LEVELS[level][2]}; rule {rule}"]
    lines += [f"hold {hold.id}: {hold.mode} {hold.level}, by {hold.who}: {hold.reason}"
              for hold in self.holds.values()]
    lines += [f"{name}: {props['Status']}" for name, props in children("service", SERVICE).items()
              if props["Status"] != "healthy"]
    return level, rule, inputs_of(self), lines


@dbus.service.method(MAIN_IFACE, in_signature="u", out_signature="aa{sv}")
def History(self, max):
    kept = self.changes[:max] if max else self.changes
    return dbus.Array([dbus.Dictionary({**step, "time": dbus.UInt64(step["time"])}, signature="sv")
                       for step in kept], signature="a{sv}")


def seconds(usec):
    return int(usec) / SECOND


def dump_status(mock):
    level, rule, _ = decide(mock)
    number, percent, text = LEVELS[level]
    breakers = children("breaker", BREAKER)
    return {
        "name": BUS_NAME.removeprefix("org.derate.Derate1."), "version": VERSION, "level": level,
        "level_value": number, "functionality_percent": percent, "text": text,
        "computed_level": mock.computed, "rule": rule,
        "since": seconds(mock.props[MAIN_IFACE]["LevelSince"]), "inputs": inputs_of(mock),
        "flapping": False, "local_suspect": False, "next_tick_seconds": 30.0,
        "features": {name: {"mode": mode, "because": None if mode == "on" else "level"}
                     for name, mode in mock.props[MAIN_IFACE]["Features"].items()},
        "drills": [],
        "services": {name: {
            "status": props["Status"], "cause": props["Cause"] or None,
            "since": seconds(props["Since"]),
            "breaker": breakers[name]["State"] if name in breakers else None, "role": "none",
            "criticality": props["Criticality"], "age_seconds": seconds(now() - props["LastCheck"]),
            "error": None} for name, props in children("service", SERVICE).items()},
        "holds": [{
            "id": hold.id, "level": hold.level, "mode": hold.mode, "who": hold.who,
            "reason": hold.reason, "uid": hold.uid, "since": seconds(hold.since),
            "remaining_seconds": seconds(hold.expires - now()) if hold.expires else None,
            "bound": hold.bound} for hold in mock.holds.values()],
        "history": [{**step, "time": seconds(step["time"])} for step in reversed(mock.changes)]}


def dump_breakers(_mock):
    counts = ("total_requests", "calls", "successful_requests", "failed_requests", "calls_blocked",
              "consecutive_failures", "consecutive_successes", "circuit_open_count",
              "circuit_half_open_count")
    return {name: {
        "name": name, "state": props["State"], "mode": props["Mode"], "failure_count": 0,
        "success_count": 0, "failure_rate": None, "slow_call_rate": None, "failure_threshold": 5,
        "recovery_timeout": 60.0, **dict.fromkeys(counts, 0), "last_failure_time": None,
        "last_success_time": None, "last_state_change": seconds(props["Since"]),
        "time_in_current_state": seconds(now() - props["Since"]),
        "retry_after_seconds": seconds(props["RetryAfterUsec"])}
        for name, props in children("breaker", BREAKER).items()}


def dump_health(mock):
    level, rule, _ = decide(mock)
    words = {"healthy": "pass", "down": "fail"}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "status": {"optimal": "pass", "emergency": "fail"}.get(level, "warn"), "version": "1",
        "releaseId": VERSION, "level": level, "output": rule,
        "checks": {name: [{"componentId": name, "componentType": "component",
                           "status": words.get(props["Status"], "warn"), "output": props["Cause"],
                           "time": stamp}]
                   for name, props in children("service", SERVICE).items()}}


@dbus.service.method(MAIN_IFACE, in_signature="s", out_signature="s")
def Dump(self, what):
    dumps = {"status": dump_status, "breakers": dump_breakers, "health": dump_health}
    if what not in dumps:
        raise Error("InvalidArgument", f"no dump of “{what}”: status, breakers or health")
    return json.dumps(dumps[what](self), ensure_ascii=False, separators=(",", ":"))


@dbus.service.signal(MAIN_IFACE, signature="sssa{sv}")
def LevelChanged(self, old, new, rule, details):
    """For the description; it is sent by EmitSignal ()."""


# org.derate.Derate1.Admin

def read_bind(options, ttl):
    bound = ttl == 0
    for key, value in options.items():
        if key != "bind" or value not in ("caller", "none"):
            raise Error("InvalidArgument", f"hold: option “{key}”: only bind is known, caller or none")
        bound = value == "caller"
    return bound


@dbus.service.method(ADMIN, in_signature="ssssta{sv}", out_signature="s", sender_keyword="sender")
def Hold(self, level, mode, who, reason, ttl_usec, options, sender=None):
    admit(self, "Hold")
    check_level(level, mode)
    bound = read_bind(options, ttl_usec)
    check_text("who", who)
    check_text("a reason", reason)
    check_ttl(ttl_usec, zero=bound)
    bus = self.bus_name.get_bus()
    uid = int(bus.get_unix_user(sender))
    if len(self.holds) >= HOLDS_MAX or sum(
            hold.owner == sender or (not hold.bound and hold.uid == uid)
            for hold in self.holds.values()) >= HOLDS_MAX_A_CALLER:
        raise Error("LimitExceeded", "hold: there are too many already")
    hold = Held(str(level), str(mode), str(who), str(reason), int(ttl_usec), bound, sender, uid)
    self.holds[hold.id] = hold
    hold.start(self)
    if bound and sender not in self.watches:
        self.watches[sender] = bus.watch_name_owner(
            sender, lambda owner: on_owner(self, sender, owner))
    refresh(self)
    return hold.id


@dbus.service.method(ADMIN, in_signature="st", out_signature="", sender_keyword="sender")
def Renew(self, id, ttl_usec, sender=None):
    admit(self, "Renew")
    hold, _ = find_hold(self, id, sender)
    check_ttl(ttl_usec, zero=hold.bound)
    hold.last(int(ttl_usec))
    hold.start(self)
    refresh(self)


@dbus.service.method(ADMIN, in_signature="s", out_signature="", sender_keyword="sender")
def Release(self, id, sender=None):
    admit(self, "Release")
    hold, cause = find_hold(self, id, sender)
    end_hold(self, hold.id, cause)


@dbus.service.method(ADMIN, in_signature="s", out_signature="u", sender_keyword="sender")
def ReleaseAll(self, reason, sender=None):
    admit(self, "ReleaseAll")
    check_text("a reason", reason)
    idents = list(self.holds)
    for ident in idents:
        hold, cause = find_hold(self, ident, sender)
        end_hold(self, hold.id, cause)
    return len(idents)


def set_state(mock, name, state, retry_after=0):
    breaker = find("breaker", name)
    if state != breaker.props[BREAKER]["State"]:
        tell(breaker, BREAKER, State=state, Since=dbus.UInt64(now()))
    tell(breaker, BREAKER, RetryAfterUsec=dbus.UInt64(retry_after))


@dbus.service.method(ADMIN, in_signature="sst", out_signature="")
def TripBreaker(self, name, reason, ttl_usec):
    admit(self, "TripBreaker")
    check_text("a reason", reason)
    find("breaker", name)
    check_ttl(ttl_usec, zero=True)
    set_state(self, name, "open", ttl_usec or OPEN_USEC)


@dbus.service.method(ADMIN, in_signature="ss", out_signature="")
def CloseBreaker(self, name, reason):
    admit(self, "CloseBreaker")
    check_text("a reason", reason)
    set_state(self, name, "closed")


@dbus.service.method(ADMIN, in_signature="ss", out_signature="")
def ResetBreaker(self, name, reason):
    admit(self, "ResetBreaker")
    check_text("a reason", reason)
    set_state(self, name, "closed")


@dbus.service.method(ADMIN, in_signature="s", out_signature="u")
def ResetAllBreakers(self, reason):
    admit(self, "ResetAllBreakers")
    check_text("a reason", reason)
    names = list(children("breaker", BREAKER))
    for name in names:
        set_state(self, name, "closed")
    return len(names)


@dbus.service.method(ADMIN, in_signature="ssst", out_signature="")
def SetBreakerMode(self, name, mode, reason, ttl_usec):
    admit(self, "SetBreakerMode")
    check_text("a reason", reason)
    breaker = find("breaker", name)
    if mode not in MODES:
        raise Error("UnknownMode", f"no mode “{mode}”: {', '.join(MODES)}")
    check_ttl(ttl_usec, zero=True)
    tell(breaker, BREAKER, Mode=mode)
    set_state(self, name, "open" if mode == "forced-open" else "closed")


@dbus.service.method(ADMIN, in_signature="s", out_signature="ss")
def CheckService(self, name):
    admit(self, "CheckService")
    props = find("service", name).props[SERVICE]
    props["LastCheck"] = dbus.UInt64(now())
    return props["Status"], props["Cause"]


@dbus.service.method(ADMIN, in_signature="sa{sv}ta{sv}", out_signature="s")
def Drill(self, service, fault, duration_usec, options):
    admit(self, "Drill")
    find("service", service)
    if len(fault) != 1 or list(fault)[0] not in ("down", "error-rate", "latency"):
        raise Error("InvalidArgument", "drill: one of down, error-rate and latency")
    if not SECOND <= duration_usec <= 3600 * SECOND:
        raise Error("InvalidTtl", f"drill: a duration of {duration_usec} µs: it must be 1s to 1h")
    ident = uuid.uuid4().hex[:8]
    kind, value = next(iter(fault.items()))
    self.drills[ident] = dbus.Dictionary({
        "id": ident, "service": service, "fault": kind,
        "rate": {"down": 1.0, "error-rate": value}.get(kind, 0.0),
        "latency": dbus.UInt64(value if kind == "latency" else 0),
        "limit": options.get("limit", "minimal"), "who": "mock", "reason": options.get("reason", ""),
        "uid": dbus.UInt32(os.getuid()), "since": dbus.UInt64(now()),
        "expires": dbus.UInt64(now() + duration_usec)}, signature="sv")
    refresh(self)
    return ident


@dbus.service.method(ADMIN, in_signature="s", out_signature="a{sv}")
def StopDrill(self, id):
    admit(self, "StopDrill")
    if id not in self.drills:
        raise Error("NoSuchDrill", f"no drill “{id}”")
    service = self.drills.pop(id)["service"]
    refresh(self)
    return dbus.Dictionary({"id": id, "service": service, "cause": "stopped"}, signature="sv")


@dbus.service.method(ADMIN, in_signature="", out_signature="as")
def Reload(self):
    admit(self, "Reload")
    if self.reload_error:
        raise Error("InvalidConfig", self.reload_error)
    return dbus.Array(self.reload_changes, signature="s")


@dbus.service.signal(ADMIN, signature="ss")
def HoldReleased(self, id, cause):
    """For the description; it is sent to the holder alone by EmitSignalDetailed ()."""


@dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ssv", out_signature="")
def Set(self, interface_name, property_name, value):
    """As in a program: forcing is a method."""
    raise dbus.exceptions.DBusException(f"Property “{property_name}” is not writable",
                                        name="org.freedesktop.DBus.Error.InvalidArgs")


# org.freedesktop.DBus.Mock: what a test says

@dbus.service.method(MOCK_IFACE, in_signature="ss", out_signature="")
def SetLevel(self, level, rule):
    """The computed level, and the rule it comes from; a hold may make the level worse."""
    check_level(level, "exact")
    self.computed, self.rule = str(level), str(rule)
    refresh(self)


@dbus.service.method(MOCK_IFACE, in_signature="sss", out_signature="s")
def AddService(self, name, status, criticality):
    path = add_child(self, "service", SERVICE, name, {
        "Status": status, "Cause": "", "Since": dbus.UInt64(now()), "LastCheck": dbus.UInt64(now()),
        "Criticality": criticality})
    refresh(self)
    return path


@dbus.service.method(MOCK_IFACE, in_signature="sss", out_signature="")
def SetServiceStatus(self, name, status, cause):
    service = find("service", name)
    tell(service, SERVICE, Status=status, Cause=cause, Since=dbus.UInt64(now()),
         LastCheck=dbus.UInt64(now()))
    refresh(self)


@dbus.service.method(MOCK_IFACE, in_signature="s", out_signature="")
def RemoveService(self, name):
    remove_child(self, "service", name)
    refresh(self)


@dbus.service.method(MOCK_IFACE, in_signature="s", out_signature="s")
def AddBreaker(self, name):
    return add_child(self, "breaker", BREAKER, name, {
        "State": "closed", "Mode": "normal", "Since": dbus.UInt64(now()),
        "RetryAfterUsec": dbus.UInt64(0)})


@dbus.service.method(MOCK_IFACE, in_signature="sst", out_signature="")
def SetBreakerState(self, name, state, retry_after_usec):
    set_state(self, name, state, retry_after_usec)


@dbus.service.method(MOCK_IFACE, in_signature="s", out_signature="")
def RemoveBreaker(self, name):
    remove_child(self, "breaker", name)


@dbus.service.method(MOCK_IFACE, in_signature="ss", out_signature="")
def SetFeature(self, name, mode):
    features = dbus.Dictionary({**self.props[MAIN_IFACE]["Features"], name: mode}, signature="ss")
    tell(self, MAIN_IFACE, Features=features)


@dbus.service.method(MOCK_IFACE, in_signature="ssssut", out_signature="s")
def AddHold(self, level, mode, who, reason, uid, ttl_usec):
    """Somebody else's, who is not on the bus any more; 0 for no end."""
    check_level(level, mode)
    hold = Held(str(level), str(mode), str(who), str(reason), int(ttl_usec), False, "", int(uid))
    self.holds[hold.id] = hold
    hold.start(self)
    refresh(self)
    return hold.id


@dbus.service.method(MOCK_IFACE, in_signature="ss", out_signature="")
def EndHold(self, id, cause):
    """Before its time: released, expired, vanished or overridden."""
    if id not in self.holds:
        raise Error("NoSuchHold", f"no hold “{id}”")
    self.holds[id].stop()
    end_hold(self, str(id), str(cause))


@dbus.service.method(MOCK_IFACE, in_signature="ass", out_signature="")
def SetReload(self, changes, error):
    """What Reload () answers: the changes, or where it is not empty the error."""
    self.reload_changes, self.reload_error = list(changes), str(error)


@dbus.service.method(MOCK_IFACE, in_signature="as", out_signature="")
def Deny(self, methods):
    """Those of Admin that answer AccessDenied from now on, and no others."""
    self.denied = {str(method) for method in methods}


@dbus.service.method(MOCK_IFACE, in_signature="sssa{sv}", out_signature="")
def EmitLevelChanged(self, old, new, rule, details):
    """The signal alone, whatever the level is."""
    self.EmitSignal(MAIN_IFACE, "LevelChanged", "sssa{sv}", (old, new, rule, details))


def load(mock, parameters):
    mock.computed = str(parameters.get("level", "optimal"))
    mock.rule = str(parameters.get("rule", "all-well"))
    check_level(mock.computed, "exact")
    mock.holds, mock.drills, mock.watches, mock.changes, mock.denied = {}, {}, {}, [], set()
    mock.reload_changes, mock.reload_error = [], ""
    mock.AddProperties(MAIN_IFACE, dbus.Dictionary({
        "Version": VERSION, "Level": mock.computed,
        "LevelValue": dbus.UInt32(LEVELS[mock.computed][0]), "ComputedLevel": mock.computed,
        "Reason": mock.rule, "LevelSince": dbus.UInt64(now()), "LoopLag": dbus.UInt64(0),
        "Services": dbus.Dictionary({}, signature="ss"),
        "Features": dbus.Dictionary(parameters.get("features", {}), signature="ss"),
        "Holds": dbus.Array([], signature="a{sv}"),
        "Drills": dbus.Array([], signature="a{sv}")}, signature="sv"))
    for signal in (LevelChanged, HoldReleased):
        mock.methods.setdefault(signal._dbus_interface, {})[signal.__name__] = ("", "", "", signal)
    for name, status in parameters.get("services", {}).items():
        mock.AddService(str(name), str(status), "medium")
    for name in parameters.get("breakers", []):
        mock.AddBreaker(str(name))
