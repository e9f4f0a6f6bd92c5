"""Says so when an environment holds older packages than pumice asks for, which a resolver may choose in silence."""

from __future__ import annotations

import re
import warnings
from importlib import metadata
from importlib.util import find_spec

from pumice.errors import MissingExtraError, PumiceWarning
from pumice.lava_compat import RELEASES

_FLOOR = re.compile(r"""([\w.-]+)>=([\d.]+) *; *(?:python_version.*and *)?extra *== *['"](\w+)['"]""")


def check_packages(*extras: str, needs: str, purpose: str) -> None:
    """Refuse what is not installed; warn of each package of some extras that is older than they ask for.

    lava-dl 0.6.0 asks for torch 2.3, pillow 10 and NumPy 1: a resolver that is told to install it as it is described
    goes back to them, without a word.

    Args:
        extras: Such as "train".
        needs: A module of Lava's that must be there.
        purpose: What needs it.

    Raises:
        MissingExtraError: It is not.

    Example:
        >>> check_packages("lava", needs="lava.magma", purpose="the lava backend")  # all is well
    """
    try:
        is_there = find_spec(needs) is not None
    except ModuleNotFoundError:  # not even its parent
        is_there = False
    if not is_there:
        raise MissingExtraError("lava", extras[0], purpose)
    found = wrong_packages(*extras)
    if found:
        warnings.warn(
            f"this environment holds {', '.join(found)}. Let the packages of pumice[{extras[0]}] be resolved "
            "without lava-nc and lava-dl, and install these two with: pumice install-lava",
            PumiceWarning,
            stacklevel=3,
        )


def wrong_packages(*extras: str) -> list[str]:
    """Each package of some extras that is too old, and each of Lava's that is not the release that is known."""
    try:
        required = metadata.requires("pumice") or []
    except metadata.PackageNotFoundError:  # run from a checkout
        return []
    floors = {m[1]: m[2] for line in required if (m := _FLOOR.match(line)) and m[3] in extras}
    found = {name: version for name in (*floors, *RELEASES) if (version := installed(name)) is not None}
    old = [
        f"{name} {found[name]} where at least {floor} is needed"
        for name, floor in floors.items()
        if name in found and _numbers(found[name]) < _numbers(floor)
    ]
    other = [
        f"{name} {found[name]} where {release} is needed"
        for name, release in RELEASES.items()
        if name in found and found[name] != release
    ]
    return old + other


def installed(name: str) -> str | None:
    """The version of a package that this environment holds, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """2.10.0rc1+cpu -> (2, 10, 0)."""
    release = re.match(r"[\d.]*\d", version)
    return tuple(map(int, release[0].split("."))) if release else ()


if __name__ == "__main__":  # scripts/check_release.sh
    raise SystemExit("\n".join(wrong_packages("lava", "train")) or 0)
