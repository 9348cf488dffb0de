"""Between Odoo and the engine: the queue, the host that executes runs, the store that it works on, the viewers' tail.

Nothing here decides what a run does; that is the engine's (`services`). Importing this package costs nothing: openai,
mcp, procrastinate and psycopg are imported by the functions that need them.
"""

JOURNAL_CHANNEL = "ai_discuss_run"  # of NOTIFY; a payload is a JSON list of the ids of runs that have new events
