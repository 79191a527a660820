# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tour's sales: each is a transaction, one is cut in the middle, and in the end the books must
balance."""
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request

from private_servers.process import Failed
from rowlock import RowLock
from tourclient import make_sale

CUT = "cut"  # the sale that PostgreSQL does not live to see the end of
PRODUCTS = (101, 102)  # which the user leaves alone
TRIES = 5
WHOLE = """SELECT json_object_agg(id, whole) FROM (
  SELECT sale.id, count(product) = 2 AS whole FROM sale LEFT JOIN sale_line ON sale = sale.id
  GROUP BY sale.id) AS found"""
BALANCE = """SELECT (SELECT sum(1000 - stock) FROM product),
  (SELECT coalesce(sum(quantity), 0) FROM sale_line)"""


def psql(story, sql):
    done = subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", sql,
         story.running.servers.uris["postgresql"]],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise Failed(f"psql: {done.stderr.strip()}")
    return done.stdout.strip()


def sell(story, sale):
    """Gives (status, body) of a sale."""
    body = json.dumps(make_sale(sale, *PRODUCTS)).encode()
    request = urllib.request.Request(story.running.url + "/db/transaction", body,
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def look(story):
    """What the shop's books say of the sale."""
    stock = psql(story, f"SELECT string_agg(stock::text, ' ' ORDER BY id) FROM product "
                        f"WHERE id IN {PRODUCTS}")
    rows = story.get(f"/db/read?query=sale&sale={CUT}")["rows"]
    return stock, len(rows), psql(story, f"SELECT count(*) FROM sale WHERE id = '{CUT}'")


class Cut:
    """A sale that has done its first half and waits for somebody's lock to do the other."""

    def __init__(self, story):
        self.story = story
        self.answer = None
        self.lock = RowLock(story.running.servers.uris["postgresql"], PRODUCTS[1])
        for _ in range(TRIES):
            self.answer = None
            self.thread = threading.Thread(target=self.run)
            self.begin = time.monotonic()
            self.thread.start()
            if self.lock.await_waiter() and self.answer is None:
                return
            self.thread.join()  # this machine was held up for longer than the agent waits

    def run(self):
        self.answer = sell(self.story, CUT)

    def tell(self):
        """After PostgreSQL was stopped."""
        self.thread.join()
        self.lock.end()
        status, body = self.answer
        self.story.promise(status == 503 and body.get("error") == "Write not confirmed",
                           f"a sale was under way, and waited for a lock: {status} {body}")


def tell_refused(story):
    status, body = sell(story, "refused")
    story.promise(status == 503 and body.get("error") == "Write operations unavailable",
                  f"a sale now: {status} {body}")


def tell_undone(story):
    stock, lines, sales = look(story)
    story.promise((stock, lines, sales) == ("1000 1000", 0, "0"),
                  f"the sale that was cut was rolled back: stock {stock}, {sales} sales")
    status, body = sell(story, CUT)
    stock, lines, sales = look(story)
    story.promise((status, stock, lines, sales) == (200, "999 999", 2, "1"),
                  f"the same sale again: {status} {body}, stock {stock}")


def tell_books(story):
    """What the user was told of each sale, and what became of it."""
    story.client.pause()
    story.tell_user()
    told = story.client.sales
    found = json.loads(psql(story, WHOLE))
    done = [sale for sale, outcome in told.items() if outcome == "done"]
    refused = [sale for sale, outcome in told.items() if outcome == "refused"]
    open_ones = [sale for sale, outcome in told.items() if outcome == "unconfirmed"]
    story.promise(done and all(found.get(sale) for sale in done),
                  f"all {len(done)} sales that were confirmed are in the books, whole")
    story.promise(refused and not any(sale in found for sale in refused),
                  f"none of the {len(refused)} that were refused is")
    there = sum(sale in found for sale in open_ones)
    story.promise(all(found.values()),
                  f"of {len(open_ones)} that were not confirmed {there} are, none by half")
    taken, sold = psql(story, BALANCE).split("|")
    story.promise(taken == sold, f"{taken} pieces were taken from the stock, {sold} were sold")
