"""What can go wrong with a run, as a code for programs and a sentence for people that says what to do next.

Only errors that end a run live here. What a tool does wrong is a result for the model and never raises out of the loop.
No message ever contains a secret, a URL's credentials or a traceback.
"""


class RunError(Exception):
    """Ends a run: `code` goes to programs, `message` to people."""

    code = "internal_error"

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


class ModelUnreachable(RunError):
    """No connection to the provider, or it broke before the reply was complete."""

    code = "model_unreachable"


class ModelTimeout(RunError):
    """The provider sent nothing for longer than its deadline."""

    code = "model_timeout"


class ModelRejectedKey(RunError):
    """The provider answered 401 or 403."""

    code = "model_auth"


class ModelRateLimited(RunError):
    """The provider answered 429, also after the retries."""

    code = "model_rate_limited"


class ModelRefused(RunError):
    """The provider answered with another error, or with one in a reply that began as a success."""

    code = "model_error"


class ModelEmpty(RunError):
    """The provider's reply had neither text nor calls, twice."""

    code = "model_empty"


class RunTimeout(RunError):
    """The run took longer than its own deadline."""

    code = "run_timeout"


class HostsLost(RunError):
    """Host after host was lost while it executed the run, so that it may be the run's own doing."""

    code = "interrupted"


class NotConfigured(RunError):
    """The assistant cannot answer as it is set up (no provider, no model)."""

    code = "not_configured"


class NotAllowed(RunError):
    """The one who asked may not, or may no longer, have an answer of this assistant here."""

    code = "access_denied"


class Unavailable(Exception):
    """What a run remembers can be neither read nor written for now. No end: whoever can goes on from its last step."""


class BudgetSpent(RunError):
    """A budget of the one who asked, or of the assistant, allows nothing more for now."""

    code = "rate_limited"


class Fenced(Exception):
    """A newer attempt owns this run: whoever gets this stops writing, silently. Not an error for people."""
