"""What installing and removing the addon does beside its models and data. Installing needs none: see `ai.run.init`."""

from .runtime import queue


def uninstall_hook(env):
    queue.uninstall(env)
