"""A coroutine of the engine, waited for by a button. Not for runs: a person looks at a spinner meanwhile."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import odoo

GRACE_S = 2  # for what the coroutine has to clean up after its deadline; then nobody waits for it any more

T = TypeVar("T")


def run(function: Callable[..., Awaitable[T]], *args: Any, timeout: float = 10) -> T:
    """Await `function(*args)` in a native thread with a loop of its own, and return what it returns. Commit before: no
    transaction should be open while this waits.

    Raises:
        TimeoutError: it did not end within `timeout` seconds. Whatever else it raises is raised here, too.
    """

    async def bounded() -> T:
        async with asyncio.timeout(timeout):
            return await function(*args)

    if odoo.evented:
        import gevent

        return gevent.get_hub().threadpool.apply(asyncio.run, (bounded(),))
    return _in_thread(lambda: asyncio.run(bounded()), timeout + GRACE_S)


def _in_thread(work: Callable[[], T], patience: float) -> T:
    outcome: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def execute() -> None:
        try:
            outcome.put((True, work()))
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            outcome.put((False, error))

    threading.Thread(target=execute, name="ai_discuss.bridge", daemon=True).start()
    try:
        succeeded, value = outcome.get(timeout=patience)
    except queue.Empty:
        raise TimeoutError("The work could not be ended in time.") from None
    if not succeeded:
        raise value
    return value
