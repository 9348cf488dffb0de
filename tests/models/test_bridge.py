"""A button that waits for a coroutine: it gets the result, the error, or is let go in time."""

import asyncio
import threading
import time

from odoo.addons.ai_discuss.runtime import bridge
from odoo.tests import BaseCase


class TestBridge(BaseCase):
    def test_the_result_comes_from_another_thread(self):
        async def where(name):
            return name, threading.get_ident()

        name, thread = bridge.run(where, "here")
        self.assertEqual(name, "here")
        self.assertNotEqual(thread, threading.get_ident())

    def test_what_it_raises_is_raised(self):
        async def fail():
            raise LookupError("nothing there")

        with self.assertRaisesRegex(LookupError, "nothing there"):
            bridge.run(fail)

    def test_a_coroutine_that_takes_too_long_is_cancelled(self):
        ended = threading.Event()

        async def wait():
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        with self.assertRaises(TimeoutError):
            bridge.run(wait, timeout=0.05)
        self.assertTrue(ended.is_set())

    def test_nobody_waits_for_a_coroutine_that_cannot_be_cancelled(self):
        release = threading.Event()

        async def block():
            release.wait(30)

        started = time.monotonic()
        with self.assertRaises(TimeoutError):
            bridge.run(block, timeout=0.05)
        release.set()
        self.assertLess(time.monotonic() - started, 10)
