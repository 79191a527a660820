# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chromium without a window, driven over its own pipe (the DevTools protocol)."""
import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from private_servers import process

END = b"\0"
PATIENCE = 20


class Broken(Exception):
    """The page or the browser said no."""


def ends(inp, out):
    """What the child does first: it reads from 3 and writes to 4, whatever they are here."""
    tie = process.die_with_parent()

    def prepare():
        tie()
        above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (inp, out)]
        for fd, number in zip(above, (3, 4)):
            os.dup2(fd, number)
    return prepare


class Browser:
    """One process; a page each for whoever asks."""

    def __init__(self):
        program = shutil.which("chromium")
        if program is None:
            raise Broken("chromium is not installed: ./dev test page installs it")
        self.folder = tempfile.TemporaryDirectory(prefix="derate-browser-")
        to_browser, self.out = os.pipe()
        self.inp, from_browser = os.pipe()
        self.child = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--hide-scrollbars", "--disable-background-networking", "--remote-debugging-pipe",
             f"--user-data-dir={self.folder.name}", "about:blank"],
            preexec_fn=ends(to_browser, from_browser), pass_fds=(3, 4), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.number = 0
        self.answers = {}
        self.pages = {}
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        rest = b""
        while chunk := os.read(self.inp, 65536):
            *messages, rest = (rest + chunk).split(END)
            with self.news:
                for message in map(json.loads, messages):
                    self.take(message)
                self.news.notify_all()

    def take(self, message):
        if "id" in message:
            self.answers[message["id"]] = message
        elif message.get("sessionId") in self.pages:
            self.pages[message["sessionId"]].take(message["method"], message["params"])

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + END)
        with self.news:
            if not self.news.wait_for(lambda: message["id"] in self.answers, PATIENCE):
                raise Broken(f"{method}: no answer")
            answer = self.answers.pop(message["id"])
        if "error" in answer:
            raise Broken(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def end(self):
        os.close(self.out)
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        self.reader.join(5)
        os.close(self.inp)
        self.folder.cleanup()


class Page:
    """A tab with a look of its own: colour scheme and size."""

    def __init__(self, browser, scheme="light", width=1280, height=900):
        self.browser = browser
        self.complaints = []
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        self.target = browser.call("Target.createTarget", url="about:blank",
                                   browserContextId=context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target,
                                    flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme},
                            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def take(self, method, params):
        """What would stand in the console."""
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url')}")

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, script):
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                          returnByValue=True)
        if "exceptionDetails" in found:
            raise Broken(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait_for(self, script, seconds=PATIENCE):
        """Until it is true; gives how long that took."""
        begin = time.monotonic()
        while True:
            try:
                if self.evaluate(script):
                    return time.monotonic() - begin
            except Broken:
                pass  # between two documents there is none
            if time.monotonic() - begin > seconds:
                raise Broken(f"not within {seconds} s: {script}; the page says: {self.text()!r}")
            time.sleep(0.02)

    def text(self, selector="body"):
        return self.evaluate(f"document.querySelector({selector!r})?.innerText ?? ''")

    def roles(self):
        """(role, name) of everything that a screen reader meets."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", ""))
                for node in nodes if not node.get("ignored")]

    def shoot(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"],
                               "scale": 1})
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
        del self.browser.pages[self.session]
