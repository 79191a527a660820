# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private servers for `./dev run`, the tests and the tour."""
from .apache import Apache
from .postgresql import PostgreSQL, Standby, remove_shared_memory
from .server import DBus, OpenAI, Redis, S3

KINDS = {kind.name: kind for kind in (PostgreSQL, Standby, Redis, S3, OpenAI, DBus, Apache)}
