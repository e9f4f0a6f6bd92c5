"""`pumice doctor`: what this machine has, and what is missing for what."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.util import find_spec
from shutil import which
from typing import Annotated, Any, NamedTuple

import typer

import pumice
from pumice.hardware.host import EXTENSION_MODULES, HOW_TO_GET_IT, find_host
from pumice.machine import available_cores
from pumice.names import counted
from pumice.requirements import installed

PACKAGES = ("numpy", "h5py", "numba", "scipy", "torch", "torchvision", "lightning-fabric", "lava-nc", "lava-dl")


LOIHI2 = "run on Loihi 2"


class Ability(NamedTuple):
    """Something that one may want to do.

    Attributes:
        name: What.
        modules: What has to be importable.
        remedy: How to get what is missing.
    """

    name: str
    modules: tuple[str, ...]
    remedy: str


ABILITIES = (
    Ability("read, check, simulate and plan .net files", ("numpy", "h5py", "numba"), 'pip install "pumice"'),
    Ability("simulate on a device of torch", ("torch",), 'pip install "pumice[train]"'),
    Ability(
        "run on Lava's processes",
        ("scipy", "networkx", "lava.magma"),
        'pip install "pumice[lava]", then: pumice install-lava',
    ),
    Ability(
        "train and lower",
        ("torch", "torchvision", "lightning_fabric", "pydantic", "lava.lib.dl.slayer"),
        'pip install "pumice[train]", then: pumice install-lava',
    ),
    Ability("draw graphs", ("matplotlib",), 'pip install "pumice[plot]"'),
    Ability("log for TensorBoard", ("tensorboard",), 'pip install "pumice[train]"'),
    Ability(
        LOIHI2,
        ("scipy", "networkx", "lava.magma", *EXTENSION_MODULES),
        f"Intel's closed extension lava-loihi: {HOW_TO_GET_IT}",
    ),
)


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what this machine has, what can be done with it, and what is missing for the rest."""
    found = {
        "pumice": pumice.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": available_cores(),
        "packages": {name: installed(name) for name in PACKAGES},
        "cuda": _cuda(),
        "abilities": {ability.name: _missing(ability.modules) for ability in ABILITIES},
        "loihi_host": find_host(os.environ, has_slurm=which("sinfo") is not None)._asdict(),
    }
    print(json.dumps(found) if as_json else _text(found))


def _missing(modules: tuple[str, ...]) -> list[str]:
    return [module for module in modules if not _is_there(module)]


def _is_there(module: str) -> bool:
    """Whether a module could be imported; its parents are, as Python has to ask them."""
    try:
        return find_spec(module) is not None
    except Exception:  # a parent that is missing or raises, which is as good as missing
        return False


def _cuda() -> list[str]:
    """Names of the GPUs that torch can use."""
    if not _is_there("torch"):
        return []
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _text(found: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items() if version)
    lines = [
        f"pumice {found['pumice']}, Python {found['python']} ({sys.executable})",
        f"{found['machine']}, {counted(found['cores'], 'core')}, GPUs that torch can use: "
        f"{', '.join(found['cuda']) or 'none'}",
        packages,
        "",
    ]
    for ability in ABILITIES:
        missing = found["abilities"][ability.name]
        lines.append(f"{'no ' if missing else 'yes'}  {ability.name}")
        if missing:
            lines.append(f"       missing: {', '.join(missing)}; {ability.remedy}")
    host = found["loihi_host"]
    lines += ["", f"a host with Loihi 2: {host['description']}"]
    lines += [f"       {problem}" for problem in host["problems"]]
    if host["way"] and not host["problems"]:
        lines.append(f"       try: pumice verify FILE.net --backend loihi2{_not_yet(found)}")
    return "\n".join(lines)


def _not_yet(found: dict[str, Any]) -> str:
    return " (once the extension is there)" if found["abilities"][LOIHI2] else ""
