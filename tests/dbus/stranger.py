# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls what standard input says, a JSON list a line, and answers {"value": …} or {"error": name}."""
import json
import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

connection = Gio.DBusConnection.new_for_address_sync(
    sys.argv[1],
    Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
    | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
print(json.dumps(connection.get_unique_name()), flush=True)


def variants(value):
    """{"bind": "caller"} is a vardict of strings, ["variant", "b", True] any other variant."""
    if isinstance(value, dict):
        return {key: GLib.Variant("s", one) if isinstance(one, str) else variants(one)
                for key, one in value.items()}
    if isinstance(value, list) and value and value[0] == "variant":
        return GLib.Variant(value[1], value[2])
    return value


for line in sys.stdin:
    name, path, interface, method, signature, arguments = json.loads(line)
    try:
        reply = connection.call_sync(
            name, path, interface, method,
            GLib.Variant(signature, tuple(variants(value) for value in arguments)), None,
            Gio.DBusCallFlags.NO_AUTO_START, 10_000, None)
        answer = {"value": reply.unpack()}
    except GLib.Error as error:
        answer = {"error": Gio.DBusError.get_remote_error(error) or "", "text": error.message}
    print(json.dumps(answer), flush=True)
