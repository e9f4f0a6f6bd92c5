"""Arrays that the command line reads and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends import RunResult
from pumice.errors import InputError
from pumice.netx.atomic import replace_atomically


def read_stream(path: Path, n_steps: int | None) -> npt.NDArray[np.integer[Any]]:
    """Read a stream of integers, shape (T, ...), and cut it after `n_steps`.

    Args:
        path: A .npy file; nothing in it is executed.
        n_steps: How many steps to use; all by default.

    Raises:
        InputError: The file is no integer array, or holds fewer steps.
    """
    try:
        # Mapped, so that a file that declares more than it holds is refused before memory is taken.
        x = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # np.load raises what parsing a damaged header happens to raise
        raise InputError(f"{path}: is not a .npy array of numbers, or is damaged ({_first_line(error)})") from error
    if not isinstance(x, np.ndarray):
        x.close()
        raise InputError(f"{path}: is an archive; a .npy file with one array is needed")
    if x.ndim < 2:
        raise InputError(f"{path}: must have shape (T, *input shape), got {x.shape}")
    if not (np.issubdtype(x.dtype, np.integer) or x.dtype == np.bool_):
        raise InputError(f"{path}: must hold integers, got {x.dtype}; encode or round it first")
    steps = len(x) if n_steps is None else n_steps
    if steps < 1:
        raise InputError(f"--steps must be at least 1, got {steps}")
    if steps > len(x):
        raise InputError(
            f"--steps {steps}, but {path} holds {len(x)} steps; append zeros (or repeat it) to run longer"
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
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(
                f"{path}: is a .npy file with one array; an .npz archive with `x` and `labels` is needed"
            )
        with archive:
            if not {"x", "labels"} <= set(archive):
                raise InputError(f"{path}: must be an .npz archive with the arrays `x` and `labels`")
            arrays = {name: archive[name] for name in ("x", "labels", "lengths") if name in archive}
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except Exception as error:
        raise InputError(
            f"{path}: is not an .npz archive of numbers, or is damaged ({_first_line(error)})"
        ) from error
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
    """Write a run as .npz: `spikes`, and `<population>/s`, `/u`, `/v` (or other states) of what was recorded.

    Args:
        path: The file; it appears whole or not at all.
        result: What a backend returned.
    """
    arrays = {f"{name}/{key}": v for name, record in result.records.items() for key, v in record.values().items()}
    with replace_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, spikes=result.spikes, **arrays)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
