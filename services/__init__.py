"""The engine: runs of an assistant, in plain Python and asyncio.

Nothing here imports Odoo; the outside is reached through `ports`. That is what makes the engine testable without a
database, and what keeps a cursor from being held while a model thinks.
"""
