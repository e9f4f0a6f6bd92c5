"""The bytes of a checkpoint: sealed when they are written; when they are read, held to the law for all files.

A checkpoint is a zip file of torch's, whose tensors are stored as they are. Only tensors and plain values are loaded,
never pickled objects; what they ask for in memory is counted before they are used.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from pumice.errors import FileFormatError, PumiceError, ResourceError
from pumice.files.limits import Budget
from pumice.files.plain import plain_problem
from pumice.files.reading import file_size, shown
from pumice.files.seal import HDF5, check_seal, sealed
from pumice.files.write import write_bytes

NO_CHECKPOINT = "is no checkpoint of `pumice train`"
MAX_STRUCTURE = 1 << 25
"""Bytes of what is no tensor: names, figures, the recipe."""


def write_values(values: dict[str, Any], path: Path) -> None:
    """Write nested plain values and tensors: the file is either the new one, whole, or the old one.

    Raises:
        InputError: The file cannot be written.
    """
    # Through memory: torch's own writer reports a full disk as an error without a reason.
    data = io.BytesIO()
    torch.save(values, data)
    write_bytes(path, sealed(data.getvalue()))


def read_values(path: Path) -> dict[str, Any]:
    """The nested values of such a file.

    Raises:
        FileFormatError: The file is missing or damaged (also where its bytes are not those that were written), holds
            something else, or asks for more memory than a file may.
    """
    try:
        size = file_size(path)
        with path.open("rb") as opened:
            is_hdf5 = opened.read(len(HDF5)) == HDF5
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise FileFormatError(f"{shown(path)}: cannot be read ({reason or error})") from error
    budget = Budget(str(path), size)
    try:
        check_seal(path)
        _check_archive(path, size)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except PumiceError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{path}: there is not enough memory to read it") from error
    except Exception as error:  # torch raises what parsing a damaged file happens to raise, with advice of its own
        hint = "; it is an HDF5 file: a network that is lowered already is read by `pumice run`" if is_hdf5 else ""
        raise FileFormatError(f"{path}: {NO_CHECKPOINT}, or is damaged{hint}") from error
    if (problem := plain_problem(values)) is not None:
        raise FileFormatError(f"{path}: the checkpoint is damaged (it {problem})")
    for tensor in _tensors(values):
        n_bytes = tensor.numel() * tensor.element_size()
        if tensor.layout != torch.strided or tensor.is_quantized or n_bytes > tensor.untyped_storage().nbytes():
            raise FileFormatError(
                f"{path}: the checkpoint is damaged (a tensor of shape {tuple(tensor.shape)} is larger than what is "
                "stored of it)"
            )
        budget.take(n_bytes, f"a tensor of shape {tuple(tensor.shape)}")
    if not isinstance(values, dict):
        raise FileFormatError(f"{path}: {NO_CHECKPOINT}")
    return values


def _check_archive(path: Path, size: int) -> None:
    """Members are stored, not compressed, as torch does, so that they ask for no more than the file has."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members):
        raise ValueError("a member is compressed or encrypted")
    if sum(m.file_size for m in members) > size:
        raise ValueError("its members are larger than it")
    if any(m.file_size > MAX_STRUCTURE for m in members if m.filename.endswith("data.pkl")):
        raise ValueError("it holds too many names and figures")


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """All tensors, as often as they are referred to; `plain_problem` has bounded how many values there are."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
