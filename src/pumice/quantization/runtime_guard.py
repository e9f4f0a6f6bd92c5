"""A deployed network refuses at run time what its graph would refuse or compute otherwise."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from pumice.errors import InputError, LoweringError
from pumice.nn import kernels
from pumice.nn.blocks.current import Current
from pumice.nn.checks import check_samples
from pumice.quantization.compiled import is_partly_compiled
from pumice.quantization.trace import INPUT, answer_of, modules_by_name


class RuntimeGuard:
    """Watches each forward pass of a deployed network, by hooks.

    - What enters must be whole numbers within the range that the network was deployed for.
    - Its blocks must be called in the order, and read each other, as in the pass from which the graph is made: a
      choice that depends on data, or on `model.training`, cannot be in a graph.

    In what torch.compile has compiled, the whole network or parts of it, only the range is watched:
    torch's own guards look after the control flow.

    Args:
        input_range: Smallest and largest value.

    Raises:
        InputError: In a forward pass: a value outside the range, or a fraction (compiled: torch's RuntimeError).
        LoweringError: In a forward pass: another block is called, or it reads another one.
    """

    def __init__(self, input_range: tuple[int, int], order: Sequence[tuple[str, tuple[str, ...]]] = ()) -> None:
        self.input_range = input_range
        self.order = tuple(order)
        self._pass = _Pass()
        self._is_paused = False

    @classmethod
    def install(
        cls, model: torch.nn.Module, input_range: tuple[int, int], order: Sequence[tuple[str, tuple[str, ...]]]
    ) -> RuntimeGuard:
        """Watch a model from now on, in place of its guard from before, which keeps its range.

        Args:
            model: Whose passes are watched.
            input_range: Smallest and largest value.
            order: Each block that is called, and what it reads, by name.

        Raises:
            LoweringError: The guard from before is of a narrower range.
        """
        old = getattr(model, "runtime_guard", None)
        if isinstance(old, cls):
            old.check_range(input_range)
            input_range = old.input_range
            for module in model.modules():
                _unhook(module, old)
        made, modules = cls(input_range, order), modules_by_name(model)
        model.register_forward_pre_hook(made.enter, with_kwargs=True)
        for name, _ in order:
            modules[name].register_forward_hook(_Watch(made, name))
        model.register_forward_hook(made.leave, always_call=True)  # behind the block's own, where the model is one
        model.runtime_guard = made  # type: ignore[assignment]
        return made

    def check_range(self, input_range: tuple[int, int]) -> None:
        """Refuse a wider range: integers were chosen, and proved to fit, for this one.

        Raises:
            LoweringError: It is wider.
        """
        (low, high), (smallest, largest) = self.input_range, input_range
        if smallest < low or largest > high:
            raise LoweringError(
                f"the network was deployed for input values {low}..{high}, got {smallest}..{largest}; deploy a copy "
                "of the trained network with the wider input_range"
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Watch nothing inside: the model's blocks may be others now, and are about to be learned anew."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    def enter(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Check what enters, and expect the first block."""
        if self._is_paused:
            return
        x = next((x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)), None)
        if torch.compiler.is_compiling():
            if x is not None and x.dtype != torch.bool:
                fine = (x >= self.input_range[0]) & (x <= self.input_range[1]) & (x == x.round())
                torch._assert_async(fine.all(), self._wanted())
            return
        self._pass.begin(model)
        if x is not None:
            check_samples(x)
            self._check_values(x.detach())
            self._pass.remember(INPUT, x)

    def called(self, name: str, args: tuple[Any, ...], output: Any) -> None:
        """Compare a block's call with the one that is expected."""
        if torch.compiler.is_compiling():
            return
        now = self._pass
        if not now.active:
            return
        expected, sources = self.order[now.position] if now.position < len(self.order) else ("no block", ())
        if name != expected:
            self._refuse(f"block {name!r} is called where {expected!r} was")
            return
        first = args[0] if args else None
        xs = [term.spikes for term in first.terms] if isinstance(first, Current) else args
        for x, source in zip(xs, sources, strict=False):
            found = now.maker(x)
            if found is not None and found != source:
                self._refuse(f"block {name!r} reads {found!r} where it read {source!r}")
                return
        now.position += 1
        now.remember(name, answer_of(output))

    def leave(self, model: Any, args: tuple[Any, ...], output: Any) -> None:
        """Miss the blocks that were not called."""
        if torch.compiler.is_compiling():
            return
        now = self._pass
        if now.active and output is not None and now.position < len(self.order):
            self._refuse(f"block {self.order[now.position][0]!r} is not called")
        now.end()

    def _refuse(self, what: str) -> None:
        """Refuse, unless a part of the network was not watched; it is not from here on."""
        model = self._pass.model
        self._pass.end()
        if model is not None and is_partly_compiled(model):
            return
        raise LoweringError(
            f"the deployed network does not compute what it did when it was deployed: {what}; a graph holds one "
            "order of blocks, so make it depend neither on data nor on model.training"
        )

    def _wanted(self) -> str:
        return f"the network was deployed for whole numbers {self.input_range[0]}..{self.input_range[1]}"

    def _check_values(self, x: torch.Tensor) -> None:
        if x.numel() == 0 or x.dtype == torch.bool or _are_whole(x, *self.input_range):
            return
        low, high = (float(value) for value in x.aminmax())
        wanted = self._wanted()
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(f"{wanted}, got NaN or infinity")
        if not self.input_range[0] <= low <= high <= self.input_range[1]:
            raise InputError(f"{wanted}, got {low:g}..{high:g}; deploy a copy of it with the wider input_range")
        if x.is_floating_point() and not torch.equal(x, x.round()):
            raise InputError(f"{wanted}, got fractions; scale and round the input as the chip's must be")


def _are_whole(x: torch.Tensor, low: int, high: int) -> bool:
    """Whether all is well, where one pass over memory can tell; torch needs three."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or not x.is_contiguous() or type(x) is not torch.Tensor:
        return False
    return bool(kernels.cpu.are_whole(x, low, high))


def _unhook(module: torch.nn.Module, guard: RuntimeGuard) -> None:
    """Take a guard's hooks away."""
    for hooks in (module._forward_hooks, module._forward_pre_hooks):
        for key, hook in list(hooks.items()):
            if (hook.guard if isinstance(hook, _Watch) else getattr(hook, "__self__", None)) is guard:
                del hooks[key]
                for flags in (module._forward_hooks_always_called, module._forward_pre_hooks_with_kwargs):
                    flags.pop(key, None)


class _Watch:
    """A block's forward hook."""

    def __init__(self, guard: RuntimeGuard, name: str) -> None:
        self.guard, self.name = guard, name

    def __call__(self, block: Any, args: tuple[Any, ...], output: Any) -> None:
        self.guard.called(self.name, args, output)


class _Pass(threading.local):
    """Where a thread's forward pass is; copies and pickles hold none."""

    _model: weakref.ref[torch.nn.Module] | None

    def __init__(self) -> None:
        self.end()

    def begin(self, model: torch.nn.Module) -> None:
        self.end()
        self.active, self._model = True, weakref.ref(model)

    def end(self) -> None:
        self.active, self.position = False, 0
        self._model = None
        # By identity, without keeping the tensors alive.
        self._makers: dict[int, tuple[str, weakref.ref[torch.Tensor]]] = {}

    @property
    def model(self) -> torch.nn.Module | None:
        return None if self._model is None else self._model()

    def remember(self, name: str, x: Any) -> None:
        if isinstance(x, torch.Tensor):
            self._makers[id(x)] = name, weakref.ref(x)

    def maker(self, x: Any) -> str | None:
        name, found = self._makers.get(id(x), (None, None))
        return name if found is not None and found() is x else None

    def __deepcopy__(self, memo: Any) -> _Pass:
        return _Pass()

    def __reduce__(self) -> Any:
        return _Pass, ()
