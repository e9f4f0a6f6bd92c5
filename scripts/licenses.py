"""Licences of what pumice's extras bring: python scripts/licenses.py [--check | --write docs/licenses.md].

Reads the metadata of the environment that it runs in. `--check` fails if a package of an extra but `tonic` is under
the GPL or the AGPL; the LGPL, which lets others link to it, is allowed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

ARCHIVED = ("lava-nc", "lava-dl")
"""Installed by `pumice install-lava`; what they claim to need is not asked for."""
GPL = re.compile(r"\bA?GPL\b|(?<!Lesser )General Public License|\bGNU GPL", re.IGNORECASE)
NOTE = """# Licences of the dependencies

pumice is under the BSD 3-Clause licence. These packages come with `pumice[all]` and `pumice install-lava`, as
their own metadata say; written by `scripts/licenses.py`, which also fails if one of them is under the GPL. NVIDIA's
packages come with PyTorch's wheels for CUDA only; `docs/install.md` says how to do without.

Not among them: `pumice[tonic]`, for which tonic (GPL-3.0) and importRosbag (GPL) are installed. Only event
augmentations of tonic's need it; no other part of pumice imports it.

| package | licence |
| --- | --- |
"""


def name_of(requirement: str) -> str:
    """torch>=2.10; extra == 'train' -> torch."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def extra_of(requirement: str) -> str | None:
    """The extra that a requirement belongs to."""
    found = re.search(r"extra\s*==\s*['\"]([\w.-]+)['\"]", requirement)
    return None if found is None else found[1]


def extras_in(requirement: str) -> frozenset[str]:
    """lightning-fabric[cli]>=2 -> {"cli"}."""
    found = re.match(r"[\w.-]+\s*\[([^]]*)\]", requirement)
    return frozenset(found[1].replace(" ", "").split(",")) if found else frozenset()


def closure(requirements: Iterable[str]) -> list[str]:
    """Names of all packages that these need and that are installed, pumice itself left out."""
    waiting = [(name_of(line), extras_in(line)) for line in requirements]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in done or name == "pumice":
            continue
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of another platform or Python
        done.add((name, extras))
        needed = [line for line in required if extra_of(line) in {None, *extras} and name not in ARCHIVED]
        waiting += [(name_of(line), extras_in(line)) for line in needed]
    return sorted({name for name, _ in done})


def license_of(name: str) -> str:
    """One line, from the most exact field there is."""
    found = metadata.metadata(name)
    expression = found.get("License-Expression")
    classified = [c.split(" :: ")[-1] for c in found.get_all("Classifier", []) if c.startswith("License ::")]
    text = next((line.strip() for line in found.get("License", "").splitlines() if line.strip()), "")
    return (
        expression
        or (text if any(map(str.isalpha, text)) and len(text) < 60 and not text.startswith("Copyright") else "")
        or ", ".join(classified)
        or "see the package"
    )


def is_gpl(text: str) -> bool:
    """Whether a licence is the GPL or the AGPL, alone; not the LGPL, nor one of two that may be chosen.

    Example:
        >>> [is_gpl(text) for text in ("GPL-3.0-only", "LGPL-2.1-or-later", "(BSD-3-Clause), (LGPL-2.1-or-later)")]
        [True, False, False]
    """
    return GPL.search(text) is not None and not re.search(r"\bOR\b", text)


def main() -> None:
    """Print, check or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    own = [line for line in metadata.requires("pumice") or [] if extra_of(line) != "tonic"]
    licenses = {name: license_of(name) for name in closure([*own, *ARCHIVED])}
    gpl = {name: text for name, text in licenses.items() if is_gpl(text)}
    rows = "".join(f"| {name} | {text} |\n" for name, text in licenses.items())
    if options.write:
        options.write.write_text(NOTE + rows, encoding="utf-8")
    elif not options.check:
        print(rows, end="")
    if gpl:
        sys.exit(f"under the GPL: {gpl}")
    print(f"{len(licenses)} packages, none under the GPL")


if __name__ == "__main__":
    main()
