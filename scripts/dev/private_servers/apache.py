# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private Apache, as somebody else's HTTP server: one page, which is also there behind a password."""
import base64
import hashlib
import os

from . import port, process
from .server import START_SECONDS, Server, find_program

USER, PASSWORD = "probe", "derate-example-password"
CONFIG = """ServerName 127.0.0.1
ServerRoot {folder}
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/log
DocumentRoot {pages}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authn_file_module {modules}/mod_authn_file.so
LoadModule auth_basic_module {modules}/mod_auth_basic.so
StartServers 1
ThreadsPerChild 4
{user}
<Location /private>
  AuthType Basic
  AuthName private
  AuthUserFile {pages}/../users
  Require valid-user
</Location>
"""


class Apache(Server):
    """The page is /health; /private/health is behind a password."""

    name = "apache"
    usual = False
    modules = "/usr/lib/apache2/modules"

    def __init__(self, scratch, runtime):
        super().__init__(scratch, runtime)
        self.port = port.take()

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port.number}/health"

    def prepare(self):
        """Under the runtime folder, which its own user may enter."""
        top = self.runtime / self.name
        digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
        for folder in (top / "pages", top / "pages" / "private"):
            folder.mkdir(parents=True)
            (folder / "health").write_text("status: all is well\n", encoding="utf-8")
        (top / "users").write_text(f"{USER}:{{SHA}}{digest}\n", encoding="utf-8")
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        (self.folder / "apache.conf").write_text(
            CONFIG.format(folder=self.folder, port=self.port.number, modules=self.modules,
                          pages=top / "pages", user=user), encoding="utf-8")

    def command(self):
        return [find_program("apache2"), "-X", "-f", str(self.folder / "apache.conf")]

    def answers(self):
        self.must_live()
        return port.answers(self.port.number, b"HEAD /health HTTP/1.0\r\n\r\n", b"HTTP/1.1 200")

    def wait_ready(self):
        process.wait_until(self.answers, START_SECONDS, self.name)
