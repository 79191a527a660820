#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page at `/` in a browser: beside the retail agent on real servers, and beside derated.

With PAGE_SHOTS, a folder, it leaves pictures there for those who want to look.
"""
import os
import pathlib
import signal
import sys
import threading
import unittest

sys.dont_write_bytecode = True

import agentworld
import browser
import hostworld
import looks
import taprunner
from gi.repository import GLib

ADMIN = "org.derate.Derate1.Admin"
SHOTS = os.environ.get("PAGE_SHOTS")
LIVE = 'document.body.dataset.contact === "live"'
LOST = 'document.body.dataset.contact === "lost"'
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 360)]


def level_is(level):
    return f'document.querySelector("#level").dataset.level === "{level}"'


class PageCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = browser.Browser()
        cls.addClassCleanup(cls.browser.end)

    def open(self, url, **look):
        page = browser.Page(self.browser, **look)
        self.addCleanup(page.close)
        page.open(url)
        return page

    def look(self, url, name, until):
        """In each look, once @until is true."""
        for scheme, width in LOOKS:
            with self.subTest(f"{name} {scheme} {width}"):
                page = self.open(url, scheme=scheme, width=width)
                page.wait_for(f"{LIVE} && {until}")
                if SHOTS:
                    page.shoot(pathlib.Path(SHOTS) / f"{name}-{scheme}-{width}.png")
                looks.check(self, page)
                self.assertEqual(page.complaints, [])


class Agent(PageCase):
    """The retail agent, whose backends are injured."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = agentworld.World()
        cls.addClassCleanup(cls.world.end)
        cls.url = cls.world.stack.url + "/"

    def setUp(self):
        self.addCleanup(self.world.heal)

    def open_live(self, **look):
        page = self.open(self.url, **look)
        page.wait_for(f"{LIVE} && {level_is('optimal')}")
        return page

    def hold(self, reason):
        return self.world.call(
            agentworld.ROOT_PATH, ADMIN, "Hold",
            GLib.Variant("(ssssta{sv})", ("minimal", "at-least", "ana", reason, 300 * 1000000,
                                          {"bind": GLib.Variant("s", "none")})))[0]

    def break_openai(self):
        self.world.injure("stop", "openai")
        for _ in range(5):
            self.world.work_out()

    def test_a_optimal(self):
        self.look(self.url, "optimal", level_is("optimal"))

    def test_b_level_and_reason_follow_within_a_second(self):
        page = self.open_live()
        # The calls that open the breaker, as users would make them.
        breaking = threading.Thread(target=self.break_openai)
        breaking.start()
        page.wait_for(level_is("degraded"))
        breaking.join()
        self.assertIn("openai is down", page.text("#level"))
        self.world.injure("stop", "redis")
        self.world.await_level("limited")
        took = page.wait_for(f"{level_is('limited')} && "
                             "document.querySelector('#level').innerText.includes('redis is down')")
        self.assertLess(took, 1)
        self.assertIn("no AI", page.text("#level"))
        self.assertIn("limited", page.evaluate("document.title"))
        self.assertIn("Level limited", page.evaluate(
            "document.querySelector('[role=status]').textContent"))
        self.assertEqual(page.complaints, [])
        self.look(self.url, "limited", level_is("limited"))

    def test_c_hold(self):
        page = self.open_live()
        self.hold("<img src=x id=evil> moving the racks")
        self.assertLess(page.wait_for(level_is("minimal")), 1.5)
        self.assertIn("Held by ana: <img src=x id=evil> moving the racks", page.text("#level"))
        page.wait_for("document.querySelector('#holds').innerText.includes('4 min 5')")
        self.assertIsNone(page.evaluate("document.querySelector('#evil')?.id ?? null"))
        self.assertEqual(page.complaints, [])
        self.look(self.url, "minimal", level_is("minimal"))

    def test_c_drill(self):
        page = self.open_live()
        drill = self.world.call(
            agentworld.ROOT_PATH, ADMIN, "Drill",
            GLib.Variant("(sa{sv}ta{sv})", ("redis", {"down": GLib.Variant("b", True)}, 60 * 1000000,
                                            {"reason": GLib.Variant("s", "friday")})))[0]
        self.addCleanup(self.world.call, agentworld.ROOT_PATH, ADMIN, "StopDrill",
                        GLib.Variant("(s)", (drill,)))
        self.assertLess(page.wait_for(level_is("degraded")), 1.5)
        self.assertIn("redis only pretends", page.text("#level"))
        self.assertIn("friday", page.text("#drills"))
        self.look(self.url, "drill", level_is("degraded"))

    def test_d_emergency(self):
        for name in ("postgresql", "redis"):
            self.world.injure("stop", name)
        self.world.await_level("emergency")
        self.look(self.url, "emergency", level_is("emergency"))

    def test_e_without_events(self):
        page = browser.Page(self.browser)
        self.addCleanup(page.close)
        page.call("Network.enable")
        page.call("Network.setBlockedURLs", urls=["*/events"])
        page.open(self.url)
        page.wait_for('document.body.dataset.contact === "polling"')
        self.hold("seen by asking")
        self.assertLess(page.wait_for(level_is("minimal")), 4)

    def test_f_stopped_and_started_again(self):
        page = self.open_live()
        self.assertEqual(self.world.stack.stop_agent(), 0)
        self.assertLess(page.wait_for(LOST), 3)
        self.assertIn("does not answer", page.text("[role=alert]"))
        self.assertIn("No contact", page.evaluate("document.title"))
        self.assertTrue(page.evaluate(level_is("unknown")))
        self.assertIn("Last known", page.evaluate(
            "getComputedStyle(document.querySelector('#level'), '::before').content"))
        if SHOTS:
            page.shoot(pathlib.Path(SHOTS) / "lost.png")
        looks.check(self, page)
        self.world.stack.start_agent()
        page.wait_for(f"{LIVE} && {level_is('optimal')}")
        self.assertEqual(page.text("[role=alert]"), "")
        self.assertNotIn("No contact", page.evaluate("document.title"))
        # Live, and not only asking.
        self.hold("after the restart")
        self.assertLess(page.wait_for(level_is("minimal")), 1.5)

    def test_g_stands_still(self):
        """Its connections stay open, and nothing comes."""
        page = self.open_live()
        self.world.stack.agent.send_signal(signal.SIGSTOP)
        try:
            page.wait_for(LOST)
        finally:
            self.world.stack.agent.send_signal(signal.SIGCONT)
        page.wait_for(f"{LIVE} && {level_is('optimal')}")


class Many(PageCase):
    """derated with sixty services."""

    def setUp(self):
        self.world = hostworld.World(self)
        up, down = self.world.door(), self.world.door()
        down.close()
        self.addCleanup(down.open)
        self.world.write(*(hostworld.service(f"shop-{i:02}", down if i in (7, 42) else up)
                           for i in range(60)))
        _, port = self.world.run_with_pages()
        self.url = f"http://127.0.0.1:{port}/"

    def test_sixty_services(self):
        two_down = "document.querySelectorAll('.service[data-state=down]').length === 2"
        self.look(self.url, "sixty", two_down)
        page = self.open(self.url)
        page.wait_for(f"{LIVE} && {two_down}")
        # The bad ones in sight, the others folded.
        self.assertEqual(page.evaluate("document.querySelectorAll('.service').length"), 2)
        self.assertIn("58 healthy services", page.text("#services"))
        self.assertFalse(page.evaluate("document.querySelector('#services-well').open"))
        self.find(page)

    def find(self, page):
        """By the keyboard alone."""
        page.evaluate("document.querySelector('#services-search').focus()")
        page.call("Input.insertText", text="shop-13")
        page.wait_for("document.querySelectorAll('.service').length === 1")
        page.evaluate("document.querySelector('#services-search').select()")
        page.call("Input.insertText", text="shop")
        page.wait_for("document.querySelectorAll('.service').length === 60")
        for _ in range(2):
            for kind in ("keyDown", "keyUp"):
                page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab",
                          windowsVirtualKeyCode=9)
        self.assertEqual(page.evaluate("document.activeElement.textContent"), "down 2")
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key=" ", code="Space", text=" ",
                      windowsVirtualKeyCode=32)
        page.wait_for("document.querySelectorAll('.service').length === 2")
        self.assertEqual(page.evaluate(
            "document.activeElement.getAttribute('aria-pressed')"), "true")
        self.assertEqual(page.complaints, [])


if __name__ == "__main__":
    taprunner.main()
