"""Transactions of a host and of a request, on real connections, and what becomes of them where one fails."""

import asyncio
import time
from unittest.mock import patch

from odoo.addons.ai_discuss.controllers import dispatcher
from odoo.addons.ai_discuss.runtime.database import Database
from odoo.sql_db import db_connect
from odoo.tests import BaseCase, get_db_name
from psycopg2 import OperationalError

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


class TestStored(BaseCase):
    """A request's transaction; Odoo's bus takes a second connection behind the commit."""

    def refuse(self):
        raise OperationalError("sorry, too many clients already")

    def test_what_fails_behind_the_commit_refuses_nothing(self):
        with (
            db_connect(get_db_name()).cursor() as cr,
            self.assertLogs("odoo.addons.ai_discuss.controllers.dispatcher", "WARNING"),
            dispatcher._stored(cr),
        ):
            cr.postcommit.add(self.refuse)

    def test_what_fails_before_the_commit_is_told(self):
        with (
            self.assertRaises(OperationalError),
            db_connect(get_db_name()).cursor() as cr,
            dispatcher._stored(cr),
        ):
            cr.precommit.add(self.refuse)
