"""Arrays that the command line reads and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends import RunResult
from pumice.errors import InputError
from pumice.files.arrays import map_npy, names_in_npz, read_npz, write_npz
from pumice.names import counted


def read_stream(path: Path, n_steps: int | None) -> npt.NDArray[np.integer[Any]]:
    """Read a stream of integers, shape (T, ...), and cut it after `n_steps`.

    Args:
        path: A .npy file; nothing in it is executed.
        n_steps: How many steps to use; all by default.

    Raises:
        InputError: The file is no integer array, or holds fewer steps.
    """
    x = map_npy(path)
    if x.ndim < 2:
        raise InputError(f"{path}: must have shape (T, *input shape), got {x.shape}")
    if not (np.issubdtype(x.dtype, np.integer) or x.dtype == np.bool_):
        raise InputError(f"{path}: must hold integers, got {x.dtype}; encode or round it first")
    if not len(x):
        raise InputError(f"{path}: holds no step: it has shape {x.shape}, and T must be at least 1")
    steps = len(x) if n_steps is None else n_steps
    if steps < 1:
        raise InputError(f"--steps must be at least 1, got {steps}")
    if steps > len(x):
        raise InputError(
            f"--steps {steps}, but {path} holds {counted(len(x), 'step')}; append zeros (or repeat it) to run longer"
        )
    return np.array(x[:steps])


def read_samples(path: Path, n_samples: int | None) -> tuple[Any, ...]:
    """Read samples and labels, and the steps of each sample that count where the file says so.

    Args:
        path: A .npz file with `x`, integers of shape (n, T, ...), `labels`, integers (n,), and perhaps `lengths`,
            integers (n,); nothing in it is executed.
        n_samples: How many to use; all by default.

    Raises:
        InputError: The file does not hold them.
    """
    held = names_in_npz(path)
    if not {"x", "labels"} <= held:
        raise InputError(f"{path}: must be an .npz archive with the arrays `x` and `labels`")
    names = [name for name in ("x", "labels", "lengths") if name in held]
    arrays = dict(zip(names, read_npz(path, names), strict=True))
    for name, array in arrays.items():
        if not (np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_):
            raise InputError(f"{path}: {name} must hold integers, got {array.dtype}")
    x, *of_samples = arrays.values()
    if x.ndim < 3 or any(array.shape != x.shape[:1] for array in of_samples) or not len(x):
        raise InputError(
            f"{path}: x must have shape (n, T, *input shape), n >= 1, and {' and '.join([*arrays][1:])} (n,), "
            f"got {' and '.join(str(array.shape) for array in arrays.values())}"
        )
    return x[:n_samples], *([int(value) for value in array[:n_samples]] for array in of_samples)


def check_result_path(path: Path) -> None:
    """Refuse a name that a run's result may not have.

    Raises:
        InputError: It does not end in .npz.
    """
    if path.suffix != ".npz":
        raise InputError(f"--output must name a file that ends in .npz, got {str(path)!r}")


def write_result(path: Path, result: RunResult) -> None:
    """Write a run as .npz: `spikes` of the first output, and `<population>/s`, `/u`, `/v` of what was recorded.

    Of a network with several outputs, each is there as `<population>/s`, recorded or not.

    Args:
        path: The file; it appears whole or not at all.
        result: What a backend returned.
    """
    arrays = {f"{name}/{key}": v for name, record in result.records.items() for key, v in record.values().items()}
    several = {f"{name}/s": v for name, v in result.outputs.items()} if len(result.outputs) > 1 else {}
    write_npz(path, {"spikes": result.spikes, **several, **arrays})
