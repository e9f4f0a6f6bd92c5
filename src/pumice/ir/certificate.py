"""A small recorded run that travels in the file, so that any backend anywhere can be verified against it.

With it go digests of the graph that was run, so that a file in which anything was changed is not taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Certificate:
    """What the network must answer, at every step.

    Attributes:
        x: The input stream, shape (T, *input shape), integers.
        spikes: For each output population, its values in each of the T steps, shape (T, *shape).
        spike_counts: For each population, the number of spikes in all T steps.
        state_digests: For each population, the SHA-256 of its s, u and v at every step (see `backends.base`).
        graph_digests: For each part of the graph, its SHA-256 (see `ir.digest`): a run does not look at every weight
            and threshold. None in files of older versions, whose certificates are about their run only.
    """

    x: IntArray
    spikes: dict[str, IntArray]
    spike_counts: dict[str, int]
    state_digests: dict[str, str]
    graph_digests: dict[str, str] | None = None
