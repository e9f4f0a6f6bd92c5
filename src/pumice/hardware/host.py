"""How a machine reaches a Loihi 2: Intel's extension of Lava, and the variables that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

HOST_VARIABLES = ("SLURM", "NOSLURM", "PARTITION", "BOARD", "LOIHI_GEN", "NXSDKHOST", "HOST_BINARY")
"""What the extension reads, as Lava's `lava.utils.loihi` and `lava.utils.slurm` set it."""

EXTENSION_MODULES = ("lava.utils.loihi2_profiler", "lava.proc.embedded_io")
"""Modules of the extension that are nowhere else; by the first one Lava itself looks for it."""

GENERATIONS = ("N3B2", "N3B3", "N3C1", "N3D1")
"""Of Loihi 2, as in Lava's `ChipGeneration`."""

HOW_TO_GET_IT = (
    "it comes with membership of Intel's research community (INRC), http://neuromorphic.intel.com; "
    "`pumice plan FILE.net` needs neither chip nor extension"
)
HOW_TO_NAME_A_HOST = (
    "set SLURM=1 (and PARTITION or BOARD) where SLURM hands out boards, or NXSDKHOST=ADDRESS and "
    "HOST_BINARY=nxcore/bin/nx_driver_server for a board on the network; docs/hardware.md"
)


class Host(NamedTuple):
    """What the environment says about the way to a chip.

    Attributes:
        way: "SLURM", "Ethernet", "this machine", or None if it says nothing.
        description: The way in words, with what was set.
        problems: What is missing or contradicts itself, each with its remedy.
    """

    way: str | None
    description: str
    problems: tuple[str, ...]


def find_host(environment: Mapping[str, str], *, has_slurm: bool) -> Host:
    """Read the variables as the extension does.

    Args:
        environment: Such as `os.environ`.
        has_slurm: Whether SLURM's program `sinfo` is on the path.

    Example:
        >>> find_host({"SLURM": "1", "PARTITION": "oheogulch"}, has_slurm=True)
        Host(way='SLURM', description='SLURM, PARTITION=oheogulch', problems=())
    """
    said = {name: environment[name] for name in HOST_VARIABLES if environment.get(name)}
    way = "SLURM" if "SLURM" in said else "Ethernet" if "NXSDKHOST" in said else None
    if way is None and "NOSLURM" in said:
        way = "this machine"
    if way is None:
        return Host(None, "none is set up", (HOW_TO_NAME_A_HOST,))
    rest = [f"{name}={value}" for name, value in said.items() if name not in ("SLURM", "NOSLURM")]
    return Host(way, ", ".join([way, *rest]), tuple(_problems(way, said, has_slurm)))


def _problems(way: str, said: dict[str, str], has_slurm: bool) -> list[str]:
    found = []
    if way == "SLURM":
        if not has_slurm:
            found.append("SLURM is set, but there is no `sinfo` on the path: log in to the host that has SLURM")
        if both := sorted({"NOSLURM", "NXSDKHOST"} & set(said)):
            found.append(f"SLURM and {both[0]} are both set: unset one of them")
        if "BOARD" in said and "PARTITION" in said:
            found.append("BOARD and PARTITION are both set: a board stands in one partition, so name one of them")
    if way == "Ethernet" and "HOST_BINARY" not in said:
        found.append("HOST_BINARY is not set: the path of nx_driver_server on the host")
    generation = said.get("LOIHI_GEN")
    if generation is not None and generation not in GENERATIONS:
        found.append(f"LOIHI_GEN must be one of {', '.join(GENERATIONS)}, got {generation!r}")
    return found
