# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody who has changed a product in PostgreSQL, and thinks on."""
import subprocess
import time


class RowLock:
    def __init__(self, uri, product):
        self.child = subprocess.Popen(
            ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", uri], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True)
        self.ask(f"BEGIN; UPDATE product SET stock = stock WHERE id = {product}; SELECT 1;")

    def ask(self, sql):
        self.child.stdin.write(sql + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def await_waiter(self, seconds=1):
        """Until somebody else wants to change it, too. False where nobody does."""
        deadline = time.monotonic() + seconds
        while self.ask("SELECT count(*) FROM pg_locks WHERE NOT granted;") == "0":
            if time.monotonic() > deadline:
                return False
        return True

    def end(self):
        self.child.kill()
        self.child.communicate()
