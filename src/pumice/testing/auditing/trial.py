"""One trial: a case is run, and either all integers are equal, or pumice refuses it, or it is a failure."""

from __future__ import annotations

import re
import sys
import time
import traceback
import types
import warnings
from dataclasses import dataclass, replace

import torch

from pumice.errors import BackendError, CheckFailedError, InputError, LoweringError
from pumice.testing.auditing.case import Case
from pumice.testing.auditing.script import write_script

EQUAL, REFUSED, FAILED = "equal", "refused", "failed"
MODULE = "pumice_audit_case"
"""What pickle calls the module that a case's network is defined in."""
LONGEST_REASON = 160
_HIDDEN = re.compile("its own forward pass fails|graph is not valid|shapes must be")
"""Refusals that hide a fault: all of a case's blocks can run, and lowering has to make valid graphs."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        kind: "equal", "refused" or "failed".
        reason: Of a refusal or failure, without the case's own names and numbers: what is counted, and what a
            smaller case must have in common with a larger one to be the same failure.
        detail: The whole message; of a foreign exception, its traceback.
        integers: How many were compared.
        seconds: How long it took.
    """

    kind: str
    reason: str = ""
    detail: str = ""
    integers: int = 0
    seconds: float = 0.0


def run_case(case: Case) -> Outcome:
    """Run a case in this process.

    Example:
        >>> from pumice.testing.auditing.case import Part
        >>> case = Case(seed=1, input_shape=(3,), time=4, parts=(Part("dense", (0,), {"out": 2}),), returns=(1,))
        >>> run_case(case).kind
        'equal'
    """
    began = time.perf_counter()
    outcome = _outcome(case)
    return replace(outcome, seconds=time.perf_counter() - began)


def _outcome(case: Case) -> Outcome:
    threads = torch.get_num_threads()
    # A module of its own, which pickle can import the network's class from.
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    try:
        with warnings.catch_warnings():
            exec(compile(write_script(case), f"<{MODULE}>", "exec"), module.__dict__)
            return Outcome(EQUAL, integers=module.main())
    except Exception as error:
        return _judged(error)
    finally:
        sys.modules.pop(MODULE, None)
        torch.set_num_threads(threads)


def _judged(error: Exception) -> Outcome:
    message = normalized(str(error))
    if isinstance(error, CheckFailedError):
        return Outcome(FAILED, f"difference: {message.partition(':')[0]}", str(error))
    if isinstance(error, LoweringError | BackendError) and not _HIDDEN.search(str(error)):
        return Outcome(REFUSED, f"{type(error).__name__}: {message}", str(error))
    # A block refuses what it gets; but what was lowered takes what was declared, and gives valid graphs.
    of_a_block = _place().startswith(("nn/", "quantization/"))
    if isinstance(error, InputError) and of_a_block and not _in_script("check_exact"):
        return Outcome(REFUSED, f"{type(error).__name__}: {message}", str(error))
    return Outcome(FAILED, f"{type(error).__name__} in {_place()}: {message}", traceback.format_exc())


def normalized(message: str) -> str:
    """A message without names and numbers.

    Example:
        >>> normalized("block 'dense0': its inputs can add up to 17.5; float32 is exact below 1e6")
        'block …: its inputs can add up to n; float… is exact below n'
    """
    line = message.strip().split("\n")[0]
    line = re.sub(r"'[^']*'|\"[^\"]*\"", "…", line)
    line = re.sub(r"(?<![\w.])-?\d+(\.\d+)?(e[+-]?\d+)?", "n", line)
    line = re.sub(r"(?<=[A-Za-z])\d+", "…", line)
    line = re.sub(r"n(,? (x )?n)+", "n", line)
    return line[:LONGEST_REASON]


def _in_script(function: str) -> bool:
    """Whether the exception came from a call of this function in the case's script."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    return any(frame.name == function for frame in frames)


def _place() -> str:
    """The innermost function of pumice that an exception passed, or the one that raised it."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [f for f in frames if "/pumice/" in f.filename.replace("\\", "/") and "/testing/" not in f.filename]
    frame = (ours or list(frames))[-1]
    file = frame.filename.replace("\\", "/").rpartition("/pumice/")[2]
    return f"{file}:{frame.name}"
