# SPDX-License-Identifier: LGPL-2.1-or-later
"""fake-polkit.py ADDRESS [ACTION…]: allows those actions to everybody; prints whom it was asked about."""
import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

XML = """<node><interface name="org.freedesktop.PolicyKit1.Authority">
  <method name="CheckAuthorization">
    <arg type="(sa{sv})" direction="in"/><arg type="s" direction="in"/>
    <arg type="a{ss}" direction="in"/><arg type="u" direction="in"/>
    <arg type="s" direction="in"/><arg type="(bba{ss})" direction="out"/>
  </method></interface></node>"""


def on_call(_connection, _sender, _path, _interface, _method, parameters, invocation):
    (kind, details), action, *_ = parameters.unpack()
    print(kind, details.get("name"), action, flush=True)
    invocation.return_value(GLib.Variant("((bba{ss}))", ((action in sys.argv[2:], False, {}),)))


connection = Gio.DBusConnection.new_for_address_sync(
    sys.argv[1],
    Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
    | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
connection.register_object("/org/freedesktop/PolicyKit1/Authority",
                           Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0], on_call, None, None)
Gio.bus_own_name_on_connection(connection, "org.freedesktop.PolicyKit1",
                               Gio.BusNameOwnerFlags.NONE,
                               lambda *_: print("ready", flush=True), None)
GLib.MainLoop().run()
