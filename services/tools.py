"""A tool is a name, a schema, a policy and a way to call it; a toolset is the tools of one run.

Wrappers change one thing each and delegate the rest. What a tool does wrong is an output, not an exception.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .messages import ToolPart
from .specs import ToolSpec


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is offered to a model in one run."""

    name: str  # what the model sees: valid for the provider, unique in the run
    spec: ToolSpec  # what it really is
    schema: Mapping[str, Any] = field(default_factory=dict)  # its input schema, made fit for the provider


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What came out of a call."""

    text: str
    is_error: bool = False
    truncated: bool = False
    parts: tuple[ToolPart, ...] = ()
