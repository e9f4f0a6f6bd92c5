"""What the commands that train need on top of the light install."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator

from pumice.errors import MissingExtraError

_PACKAGES = frozenset(
    {
        *("torch", "torchvision", "lava", "sklearn", "pydantic", "matplotlib", "scipy"),
        *("lightning_fabric", "tensorboard"),
    }
)


@contextlib.contextmanager
def training_extra() -> Iterator[None]:
    """Import torch, SLAYER and the rest inside this context, quietly.

    lava-dl prints a notice about an optional camera toolbox to stdout when it is imported, torch one about CUDA.
    OpenMP reads its setting when torch is loaded: its threads are told to sleep when they have nothing to do, because
    by default they keep the cores busy that pumice's own loops then wait for.

    Raises:
        MissingExtraError: A package of the extra "train" is not installed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _PACKAGES:
            raise MissingExtraError(package, "train", "training") from error
        raise
