"""The probes of Intel's extension, and what they measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pumice.backends.loihi2.extension import closed
from pumice.errors import InputError

PROFILER = "lava.utils.loihi2_profiler"
PROBES = {
    "power": "Loihi2Power",
    "time": "Loihi2ExecutionTime",
    "memory": "Loihi2Memory",
    "activity": "Loihi2Activity",
}
"""What may be measured, and the extension's class for it."""

TIME_BUFFER_STEPS = 1024
"""The largest buffer of execution times in what was printed."""

_MEANS = {
    "power": {
        "total_power": "total_power",
        "static_total_power": "static_power",
        "vdd_power": "vdd_power",
        "vddm_power": "vddm_power",
        "vddio_power": "vddio_power",
    },
    "time": {"avg_time_per_step": "time_per_step"},
}
"""Of each probe: its attribute, and the name in `Profile.measured` (W, us)."""


def check_probes(names: Iterable[str]) -> tuple[str, ...]:
    """The same names, without repetition.

    Raises:
        InputError: There is no probe of a name.
    """
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in PROBES:
            raise InputError(f"profile must name some of {', '.join(PROBES)}, got {name!r}")
    return found


def make_probes(names: Iterable[str], n_steps: int) -> dict[str, Any]:
    """The extension's probes, by name.

    Args:
        names: Some of `PROBES`.
        n_steps: How many steps will be run.
    """
    arguments: dict[str, dict[str, int]] = {
        "power": {"num_steps": n_steps},
        "time": {"buffer_size": min(n_steps, TIME_BUFFER_STEPS)},
    }
    return {name: closed(PROFILER, PROBES[name])(**arguments.get(name, {})) for name in names}


def raw_values(probes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """All public values of each probe, as lists, numbers and text: what is in them is not documented."""
    found: dict[str, dict[str, Any]] = {}
    for name, probe in probes.items():
        public = {key for key in [*vars(probe), *vars(type(probe))] if not key.startswith("_")}
        values = {key: getattr(probe, key, None) for key in sorted(public | set(_MEANS.get(name, ())))}
        found[name] = {
            key: _plain(value) for key, value in values.items() if value is not None and not callable(value)
        }
    return found


def means(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The mean of what is known by name.

    Example:
        >>> means({"power": {"total_power": [0.5, 0.75]}, "time": {}})
        {'total_power': 0.625}
    """
    found = {}
    for probe, names in _MEANS.items():
        for attribute, name in names.items():
            values = raw.get(probe, {}).get(attribute)
            if values is not None and np.size(values) and np.issubdtype(np.asarray(values).dtype, np.number):
                found[name] = float(np.mean(values))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    return repr(value)
