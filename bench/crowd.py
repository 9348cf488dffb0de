"""Many people who ask at the same moment. Odoo takes a few dozen posts a second, so they have asked before: their runs
wait in the queue until `begin`. In a process of its own: `python -m bench.crowd <odoo.conf> <database> …`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench import ROOT
from dev import processes
from tests.live import LiveServer, clean_environment

PATIENCE_S = 180


def gather(live: LiveServer, model_url: str, pace: str, count: int) -> list[int]:
    """The channels of `count` questions to a model that speaks at `pace`."""
    conf = live.log.path.with_suffix(".conf")
    command = [sys.executable, "-m", "bench.crowd", str(conf), live.db, model_url, pace, str(count)]
    answer = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), check=True, stdout=subprocess.PIPE, timeout=PATIENCE_S
    )
    return json.loads(answer.stdout)


def begin(live: LiveServer) -> None:
    """Let the runs that wait be fetched, as if they had been requested just now."""
    live.sql("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'")
    live.sql("""SELECT pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}')""")


@contextmanager
def runner(live: LiveServer) -> Iterator[processes.Child]:
    """`odoo-bin ai_runner` beside the server."""
    # Odoo looks for an addon's command before it reads the arguments
    environment = {**clean_environment(), "ODOO_RC": str(live.log.path.with_suffix(".conf"))}
    command = [sys.executable, str(live.base.odoo_bin), "ai_runner", f"--database={live.db}"]
    child = processes.start("runner", command, log=live.log.path.with_suffix(".runner.log"), env=environment)
    try:
        live.eventually(lambda: live.sql("SELECT count(*) FROM procrastinate_workers") != [(0,)], PATIENCE_S)
        yield child
    finally:
        child.stop()


def _ask(conf: str, db: str, model_url: str, pace: str, count: int) -> list[int]:
    from odoo import api
    from odoo.modules.registry import Registry
    from odoo.tools import config

    config.parse_config(["--config", conf, "--database", db, "--log-level", "error"])
    with Registry(db).cursor() as cr:
        env = api.Environment(cr, api.SUPERUSER_ID, {})
        env = env(user=env.ref("base.user_admin").id)
        provider = env["ai.provider"].create({"name": "Paced", "base_url": model_url, "timeout": 300})
        assistant = env["ai.assistant"].create({"name": "Paced", "provider_id": provider.id, "model": pace})
        people = [[0, 0, {"partner_id": partner.id}] for partner in (env.user.partner_id, assistant.partner_id)]
        channels = env["discuss.channel"].create([
            {"name": f"Crowd {number}", "channel_type": "group", "channel_member_ids": people,
             "ai_assistant_id": assistant.id}
            for number in range(count)
        ])  # fmt: skip
        messages = env["mail.message"].create([
            {"model": channel._name, "res_id": channel.id, "body": "Go", "message_type": "comment",
             "author_id": env.user.partner_id.id, "subtype_id": env.ref("mail.mt_comment").id}
            for channel in channels
        ])  # fmt: skip
        for channel, message in zip(channels, messages, strict=True):
            env["ai.run"]._request(channel, assistant, message)
        cr.execute("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour' WHERE status = 'todo'")
        cr.commit()
        env.registry.signal_changes()  # the hosts know the assistants that there were
        return channels.ids


if __name__ == "__main__":
    print(json.dumps(_ask(*sys.argv[1:5], int(sys.argv[5]))))
