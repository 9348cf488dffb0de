"""`odoo-bin ai_runner`: a host of runs as a process of its own, any number of them on any machine."""

import sys
from pathlib import Path

from odoo.cli import Command
from odoo.modules import load_script
from odoo.tools import config

HEALTH = Path(__file__).parents[1] / "runtime" / "health.py"


class AiRunner(Command):
    """Execute the runs of AI assistants until SIGTERM comes"""

    name = "ai_runner"
    epilog = "Everything else is as for `odoo-bin server`: --database=DB[,DB2], --config, --logfile, …"

    def run(self, args):
        self.parser.add_argument(
            "--health", action="store_true", help="say in a line how the runs are doing; 0 if well, 1 if not"
        )
        own, others = self.parser.parse_known_args(args)
        config.parser.prog = self.prog
        config.parse_config(others, setup_logging=not own.health)
        if not config["db_name"]:
            raise SystemExit("Say whose runs to execute: odoo-bin ai_runner -d <database>")
        sys.exit(_tell_health(config["db_name"]) if own.health else _serve(config["db_name"]))


def _serve(db_names):
    from odoo.addons.ai_discuss.runtime import service

    return service.serve(db_names)


def _tell_health(db_names):
    health = load_script(str(HEALTH), "ai_discuss_health")  # by itself: our package takes a second to import
    seen = [health.look(db_name) for db_name in db_names]
    for db_name, one in zip(db_names, seen, strict=True):
        print(f"{db_name}: {one}" if len(db_names) > 1 else one)
    return int(any(one.problem for one in seen))
