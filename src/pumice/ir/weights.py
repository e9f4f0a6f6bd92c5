"""The weights of a synapse of any kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.ir.kinds import rule_for
from pumice.ir.synapse import Conv, Dense, Direct, OneToOne, Sparse, Synapse, TokenMixing

IntArray = npt.NDArray[np.integer[Any]]


def weights_of(synapse: Synapse) -> IntArray:
    """All weights that a synapse holds, as an array of any shape; a direct input has none.

    Raises:
        GraphError: The kind is not known here.

    Example:
        >>> weights_of(OneToOne("a", "b", weight=4)).tolist(), weights_of(Direct("a", "b")).tolist()
        (4, [])
    """
    return rule_for(_WEIGHTS, synapse, "the table of weights")(synapse)


_WEIGHTS: dict[type[Synapse], Callable[[Any], IntArray]] = {
    Direct: lambda s: np.zeros(0, np.int64),
    Dense: lambda s: np.asarray(s.weight),
    Sparse: lambda s: np.asarray(s.values),
    Conv: lambda s: np.asarray(s.weight),
    OneToOne: lambda s: np.asarray(s.weight),
    TokenMixing: lambda s: np.asarray(s.weight),
}
