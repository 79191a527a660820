#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""psycopg_pool, driven by bench-pool through its standard input: CASE CALLERS MILLISECONDS a line,
answered by operations, wall time, median and 99th percentile in ns."""
import sys
import threading
import time

from psycopg_pool import ConnectionPool

CONNECTIONS = 8


def checkout(pool):
    with pool.connection():
        pass


def select1(pool):
    with pool.connection() as connection:
        connection.execute("SELECT 1", prepare=True).fetchone()


def measure(pool, operation, callers, ms):
    samples = [[] for _ in range(callers)]
    over = threading.Event()

    def run(mine):
        while not over.is_set():
            begin = time.perf_counter_ns()
            operation(pool)
            mine.append(time.perf_counter_ns() - begin)

    threads = [threading.Thread(target=run, args=(mine,)) for mine in samples]
    begin = time.perf_counter_ns()
    for thread in threads:
        thread.start()
    time.sleep(ms / 1000)
    over.set()
    for thread in threads:
        thread.join()
    wall = time.perf_counter_ns() - begin
    taken = sorted(ns for mine in samples for ns in mine)
    print(len(taken), wall, taken[len(taken) // 2], taken[len(taken) * 99 // 100], flush=True)


def main():
    operations = {"checkout": checkout, "select1": select1}
    with ConnectionPool(sys.argv[1], min_size=CONNECTIONS, max_size=CONNECTIONS,
                        kwargs={"autocommit": True}) as pool:
        pool.wait()
        for line in sys.stdin:
            name, callers, ms = line.split()
            if name in operations:
                measure(pool, operations[name], int(callers), int(ms))
            else:
                print("none", flush=True)


if __name__ == "__main__":
    main()
