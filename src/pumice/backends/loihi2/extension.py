"""Intel's closed extension of Lava: whether it is there, and its modules by name."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pumice.errors import MissingExtensionError
from pumice.hardware.host import EXTENSION_MODULES, HOST_VARIABLES, HOW_TO_GET_IT, find_host


def require_extension() -> None:
    """Refuse to go on without the extension.

    Raises:
        MissingExtensionError: It is not installed; in one line, how to get it.
    """
    missing = [name for name in EXTENSION_MODULES if not _is_there(name)]
    if missing:
        raise MissingExtensionError(
            f"the loihi2 backend needs Intel's closed extension lava-loihi, which is not installed (no module "
            f"{missing[0]}); {HOW_TO_GET_IT}"
        )


def require_host() -> dict[str, str]:
    """Refuse to go on when nothing says where the chip is.

    Returns:
        The variables that do.

    Raises:
        MissingExtensionError: None do, or they contradict each other.
    """
    host = find_host(os.environ, has_slurm=shutil.which("sinfo") is not None)
    if host.problems:
        raise MissingExtensionError(f"no way to a Loihi 2 ({host.description}): {'; '.join(host.problems)}")
    return {name: os.environ[name] for name in HOST_VARIABLES if os.environ.get(name)}


def closed(name: str, attribute: str) -> Any:
    """Something of the extension.

    Args:
        name: A module of it.
        attribute: What of that.

    Raises:
        MissingExtensionError: This extension has no such thing.
    """
    try:
        return getattr(closed_module(name), attribute)
    except AttributeError:
        raise MissingExtensionError(
            f"the extension that is installed has no {attribute} in {name}; pumice knows lava-loihi as it is used "
            "with lava-nc 0.10 (docs/hardware.md)"
        ) from None


def closed_module(name: str) -> ModuleType:
    """A module of the extension.

    Raises:
        MissingExtensionError: It cannot be imported.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtensionError(
            f"the extension lava-loihi cannot be imported ({name}: {error}); {HOW_TO_GET_IT}"
        ) from error


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # not even its parent
        return False
