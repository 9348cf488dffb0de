"""Places for streams, where each stream takes something that others need: an HTTP worker, or a thread's memory.

A place is taken before anything is posted. It is the kernel's (the name of a socket), so it is free again when its
stream ends, however that happens: a worker that is killed holds nothing. The gevent process needs none.
"""

import logging
import os
import socket
from contextlib import ExitStack

import odoo
import psutil
from odoo.service.server import memory_info
from odoo.tools import config

from . import settings

SPARE_BYTES = 128 * 1024 * 1024  # of address space for a threaded server's other requests: the stacks of 16 threads


class NoPlace(Exception):
    """No further stream can be held here for now."""

    loglevel = logging.INFO  # in which Odoo tells of it


def take() -> ExitStack:
    """A place for one stream, until it is closed.

    Raises:
        NoPlace: there is none.
    """
    place = ExitStack()
    if config["workers"] and not odoo.evented:
        place.enter_context(_share_of_workers())
    elif not odoo.evented:
        _check_address_space()
    return place


def _share_of_workers() -> socket.socket:
    """One of the streams that this server's HTTP workers may hold together. Its name stands for the server: processes
    that could take it for their own would want the same port, too."""
    server = f"{config['http_interface']}:{config['http_port']}"
    for number in range(settings.http_streams()):
        place = socket.socket(socket.AF_UNIX)
        try:
            place.bind(f"\0ai_discuss.stream.{server}.{number}")
            return place
        except OSError:
            place.close()
    raise NoPlace


def _check_address_space() -> None:
    """Every stream is a thread of a threaded server, which Odoo restarts once its threads' memory passes the limit."""
    limit = config["limit_memory_soft"]
    if limit and memory_info(psutil.Process(os.getpid())) > limit - SPARE_BYTES:
        raise NoPlace
