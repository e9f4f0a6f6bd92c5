"""Run a framework's network once, and remember where each tensor came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
        version: How often it had been written into; it is another tensor once this grows.
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
    version: int = field(init=False)

    def __post_init__(self) -> None:
        self.version = version_of(self.tensor)

    @property
    def is_as_made(self) -> bool:
        """Whether nothing was written into the tensor since."""
        return version_of(self.tensor) == self.version


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
        self._depth = 0
        self._inside: list[str] = []
        self._entered: list[list[_Entered]] = []
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
        """Where a tensor came from; None if nobody saw, or something was written into it unseen."""
        made = self._made.get(id(tensor))
        return made if made is not None and made.tensor is tensor and made.is_as_made else None

    def _remember(self, made: Made) -> None:
        self._made[id(made.tensor)] = made

    def _seen(self, x: Any) -> list[_Entered]:
        return [_Entered(tensor, version_of(tensor), self.maker(tensor)) for tensor in tensors_of(x)]

    def _entering(self, name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
            # Before the forward, which may write into them.
            self._entered.append(self._seen((args, kwargs)))
            self._inside.append(name)
            self._depth += name in self._layers

        return hook

    def _leaving(self, name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: Any, kwargs: dict[str, Any], result: Any) -> None:
            entered = self._entered.pop()
            self._inside.pop()
            self._depth -= name in self._layers
            if name not in self._layers or self._depth:
                return
            calls = self.calls.setdefault(name, [])
            found: list[Made] = []
            inputs = tuple(x.made for x in entered)
            others = [x.tensor for x in entered if not x.is_written]
            for place, tensor in enumerate(tensors_of(result)):
                found.append(Made(tensor, name, module, None, "", args, kwargs, inputs, len(calls), place))
                if all(tensor is not other for other in (*others, *(made.tensor for made in found[:-1]))):
                    self._remember(found[-1])
            calls.append(tuple(found))

        return hook

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._depth:
            return func(*args, **kwargs)
        entered = self._seen((args, kwargs))
        result = func(*args, **kwargs)
        inputs, inside = tuple(x.made for x in entered), self._inside[-1] if self._inside else ""
        changes = getattr(func, "__name__", "").endswith("_")
        new = [t for t in tensors_of(result) if changes or all(t is not x.tensor for x in entered)]
        for tensor in (*new, *(x.tensor for x in entered if x.is_written)):
            self._remember(Made(tensor, "", None, func, inside, tuple(args), kwargs, inputs))
        return result


@dataclass(frozen=True, eq=False)
class _Entered:
    """A tensor as it entered a layer or a function."""

    tensor: torch.Tensor
    version: int
    made: Made | None

    @property
    def is_written(self) -> bool:
        """Whether something was written into it since."""
        return version_of(self.tensor) != self.version


def only_of_input(inputs: Sequence[Made | None]) -> bool:
    """Whether tensors are the network's input, or made of it alone by functions.

    Example:
        >>> only_of_input([Made(torch.ones(1), "input")]), only_of_input([None])
        (True, False)
    """
    return bool(inputs) and all(
        made is not None and (made.by == "input" or (made.module is None and only_of_input(made.inputs)))
        for made in inputs
    )


def functions_behind(made: Made) -> list[str]:
    """The names of the functions by which a tensor was made of a network's input, the first ones first.

    Example:
        >>> x = Made(torch.ones(1), "input")
        >>> functions_behind(Made(torch.ones(1), "", function=torch.exp, inputs=(x,)))
        ['exp']
    """
    before = [name for x in made.inputs if x is not None for name in functions_behind(x)]
    return [*before, getattr(made.function, "__name__", str(made.function))] if made.function is not None else before


def version_of(tensor: torch.Tensor) -> int:
    """How often a tensor was written into; 0 for tensors of inference mode, which do not count it.

    Example:
        >>> x = torch.ones(2)
        >>> x[0] = 0
        >>> version_of(x)
        1
    """
    return 0 if tensor.is_inference() else tensor._version


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
