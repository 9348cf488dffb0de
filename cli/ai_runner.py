"""`odoo-bin ai_runner`: a host of runs as a process of its own, any number of them on any machine."""

import signal
import threading

from odoo.cli import Command
from odoo.modules.registry import Registry
from odoo.tools import config


class AiRunner(Command):
    """Execute the runs of AI assistants"""

    name = "ai_runner"

    def run(self, args):
        config.parser.prog = self.prog
        config.parse_config(args, setup_logging=True)
        db_names = config["db_name"]
        if not db_names:
            raise SystemExit("Say whose runs to execute: odoo-bin ai_runner -d <database>")
        asked_to_stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: asked_to_stop.set())
        for db_name in db_names:
            Registry(db_name)
        from odoo.addons.ai_discuss.runtime import host

        for db_name in db_names:
            host.start(db_name)
        while not asked_to_stop.wait(1):
            pass
        host.stop_all()
