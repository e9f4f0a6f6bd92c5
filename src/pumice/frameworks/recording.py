"""Run a framework's network once, and remember where each tensor came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@dataclass(eq=False)
class Made:
    """Where a tensor came from.

    Attributes:
        tensor: It.
        by: The module's name, or "input", or "" for a function.
        module: What made it, if a module did.
        function: What made it, if a function did.
        inside: The module in whose forward a function was called.
        args: What entered, by position.
        kwargs: By keyword.
        inputs: Where the tensors among these came from, None where nobody saw.
        call: Which call of its module, from 0.
        place: Which of the tensors that the module returned.
    """

    tensor: torch.Tensor
    by: str
    module: torch.nn.Module | None = None
    function: Any = None
    inside: str = ""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Made | None, ...] = ()
    call: int = 0
    place: int = 0


class Recording(TorchFunctionMode):
    """The calls of a network's layers and of torch's functions between them, by the tensors they made.

    Attributes:
        calls: For each layer what each of its calls gave, in the order of the layers' first calls.

    Args:
        model: The network.
        is_layer: Whether a module is taken as a whole: what happens in its forward is not looked at.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Flatten())
        >>> recording = Recording(model, lambda name, module: isinstance(module, torch.nn.Linear))
        >>> with recording.watching():
        ...     y = model(recording.enter(torch.ones(1, 1, 2)))
        >>> made = recording.maker(y)
        >>> made.function.__name__, made.inputs[0].by
        ('flatten', '0')
    """

    def __init__(self, model: torch.nn.Module, is_layer: Callable[[str, torch.nn.Module], bool]) -> None:
        super().__init__()
        self._made: dict[int, Made] = {}
        self._versions: dict[int, int] = {}  # a tensor that was changed in place is another one
        self._entered: list[tuple[Made | None, ...]] = []
        self._depth = 0
        self._inside: list[str] = []
        self.calls: dict[str, list[tuple[Made, ...]]] = {}
        self._modules = {name: module for name, module in model.named_modules() if name or is_layer(name, module)}
        self._layers = {name for name, module in self._modules.items() if is_layer(name, module)}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Remember what is made until the context ends."""
        handles = []
        for name, module in self._modules.items():
            handles.append(module.register_forward_pre_hook(self._entering(name), with_kwargs=True))
            handles.append(module.register_forward_hook(self._leaving(name), with_kwargs=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def enter(self, x: Any) -> Any:
        """Remember tensors, also in tuples, lists and dictionaries, as the network's input."""
        for tensor in tensors_of(x):
            self._remember(Made(tensor, "input"))
        return x

    def maker(self, tensor: Any) -> Made | None:
        """Where a tensor came from; None if nobody saw."""
        made, version = self._made.get(id(tensor)), self._versions.get(id(tensor))
        return made if made is not None and made.tensor is tensor and version == _version(tensor) else None

    def _remember(self, made: Made) -> None:
        self._made[id(made.tensor)], self._versions[id(made.tensor)] = made, _version(made.tensor)

    def _entering(self, name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
            self._entered.append(tuple(self.maker(x) for x in tensors_of((args, kwargs))))
            self._inside.append(name)
            self._depth += name in self._layers

        return hook

    def _leaving(self, name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: Any, kwargs: dict[str, Any], result: Any) -> None:
            self._inside.pop()
            inputs = self._entered.pop()  # as they were before the layer
            self._depth -= name in self._layers
            if name not in self._layers or self._depth:
                return
            calls = self.calls.setdefault(name, [])
            found: list[Made] = []
            entered = list(tensors_of((args, kwargs)))
            for place, tensor in enumerate(tensors_of(result)):
                found.append(Made(tensor, name, module, None, "", args, kwargs, inputs, len(calls), place))
                if all(tensor is not other for other in (*entered, *(made.tensor for made in found[:-1]))):
                    self._remember(found[-1])
            calls.append(tuple(found))

        return hook

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._depth:
            return func(*args, **kwargs)
        entered = list(tensors_of((args, kwargs)))
        inputs = tuple(self.maker(x) for x in entered)  # before some function changes them
        before = [_version(x) for x in entered]
        result = func(*args, **kwargs)
        inside = self._inside[-1] if self._inside else ""
        unchanged = [x for x, version in zip(entered, before, strict=True) if _version(x) == version]
        for tensor in tensors_of(result):
            if all(tensor is not x for x in unchanged):
                self._remember(Made(tensor, "", None, func, inside, tuple(args), kwargs, inputs))
        return result


def _version(x: torch.Tensor) -> int:
    return 0 if x.is_inference() else x._version


def tensors_of(x: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested tuples, lists and dictionaries.

    Example:
        >>> [len(t) for t in tensors_of((torch.ones(1), [torch.ones(2)], {"a": torch.ones(3)}))]
        [1, 2, 3]
    """
    if isinstance(x, torch.Tensor):
        yield x
    elif isinstance(x, (tuple, list)):
        for part in x:
            yield from tensors_of(part)
    elif isinstance(x, dict):
        for part in x.values():
            yield from tensors_of(part)
