"""A host's transactions, on real connections."""

import asyncio
import time
from unittest.mock import patch

from odoo.addons.ai_discuss.runtime.database import Database
from odoo.sql_db import db_connect
from odoo.tests import BaseCase, get_db_name

LOCK = 0x6C6F636B
PATIENCE_S = 5


class TestFrozen(BaseCase):
    def is_held(self):
        with db_connect(get_db_name()).cursor() as cr:
            cr.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s", [LOCK])
            return bool(cr.rowcount)

    def test_q43_what_a_frozen_host_holds_is_free_soon_and_its_transaction_begins_anew(self):
        tries = []

        def work(env):
            tries.append(env.cr)
            env.cr.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            deadline = time.monotonic() + PATIENCE_S
            while len(tries) == 1 and self.is_held():
                self.assertLess(time.monotonic(), deadline, "the database waits for it")
                time.sleep(0.02)
            env.cr.execute("SELECT 'awake'")
            return env.cr.fetchone()[0]

        async def main():
            database = Database(get_db_name())
            try:
                return await database.transact(work)
            finally:
                database.close()

        with (
            patch("odoo.addons.ai_discuss.runtime.database.MAX_IDLE_S", 0.2),
            self.assertLogs("odoo.addons.ai_discuss.runtime.database", "WARNING"),
            self.assertLogs("odoo.sql_db", "ERROR"),
        ):
            self.assertEqual(asyncio.run(main()), "awake")
        self.assertEqual(len(tries), 2)
