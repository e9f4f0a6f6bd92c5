"""The error families. A user's fault, a failed check and a bug of ours are never mixed.

Each message says what is wrong, where, what is allowed against what was found, and how to fix it.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "CheckFailedError",
    "FileFormatError",
    "GraphError",
    "InputError",
    "InternalError",
    "LoweringError",
    "MissingExtensionError",
    "MissingExtraError",
    "PumiceError",
    "PumiceWarning",
    "ResourceError",
    "UserError",
]


class PumiceError(Exception):
    """Base of every error that pumice raises; `exit_code` is what the command line returns for it."""

    exit_code = 3


class UserError(PumiceError):
    """The user's input or environment is at fault (exit code 2)."""

    exit_code = 2


class InputError(UserError, ValueError):
    """Input data, an option or a configuration value is not usable."""


class GraphError(UserError, ValueError):
    """A graph breaks a rule; the message lists every violation at once."""


class FileFormatError(UserError, ValueError):
    """A file is missing, damaged, or says something that the format does not allow."""


class LoweringError(UserError, ValueError):
    """A network cannot be lowered exactly; the message names the layer and the remedy."""


class MissingExtraError(UserError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str, purpose: str) -> None:
        remedy = "run: pumice install-lava" if module == "lava" else f"install pumice with its extra: pumice[{extra}]"
        super().__init__(f"{purpose} needs the package {module!r}, which is not installed; {remedy}")


class MissingExtensionError(UserError, ImportError):
    """Loihi 2 cannot be reached: Intel's closed extension of Lava is not installed, or no host is named."""


class ResourceError(UserError, MemoryError):
    """Memory does not suffice for what was asked for; where it is known beforehand, the message has an estimate."""


class BackendError(UserError, RuntimeError):
    """A backend cannot run this graph, or its runtime failed; a child's traceback is part of the message."""


class CheckFailedError(PumiceError):
    """A verification found a difference (exit code 1)."""

    exit_code = 1


class InternalError(PumiceError, RuntimeError):
    """A bug of pumice (exit code 3)."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} (this is a bug in pumice; please report it)")


class PumiceWarning(UserWarning):
    """Something works, but not as one may expect; each says what, where and what to do about it."""
