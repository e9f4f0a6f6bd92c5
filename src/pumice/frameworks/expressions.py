"""What enters a layer of neurons, as linear maps of spikes: read backwards from the tensor to where it came from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import nn

from pumice.errors import InputError
from pumice.frameworks.facts import Framework, kind_of, refusal
from pumice.frameworks.recording import Made, tensors_of

INPUT = "input"
_SAME = {"clone", "contiguous", "to", "float", "double", "detach", "dropout", "requires_grad_", "type", "identity"}
_RESHAPES = {"flatten", "reshape", "view", "squeeze", "unsqueeze", "unflatten"}
_ADDS = {"add", "__add__", "__radd__", "__iadd__", "add_"}
_BATCH_NORMS = {"BatchNorm1d", "BatchNorm2d", "ThresholdDependentBatchNorm1d", "ThresholdDependentBatchNorm2d"}
_TIME_ONLY = {"FlattenTime", "UnflattenTime", "Repeat"}
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.Identity)
_KNOWN = "Linear, Conv2d, BatchNorm1d/2d, AvgPool2d, MaxPool2d, Flatten, Dropout, Identity"


@dataclass(frozen=True, eq=False)
class Op:
    """One linear map.

    Attributes:
        kind: "linear", "conv", "norm", "avg_pool", "max_pool", "flatten" or "scale".
        path: The module's name, or where the function was called.
        features: Shape of what leaves, without batch and time.
        module: The torch module, of "linear", "conv" and "norm".
        values: Of pools kernel, stride and padding, (y, x) each, and the divisor; of "scale" the factor.
    """

    kind: str
    path: str
    features: tuple[int, ...]
    module: Any = None
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False)
class Term:
    """Linear maps of one source.

    Attributes:
        source: A neuron's name, or "input".
        tensor: What the source sent.
        ops: In order.
        call: In which call of the source.
    """

    source: str
    tensor: torch.Tensor
    ops: tuple[Op, ...] = ()
    call: int = 0


class Reader:
    """Reads where recorded tensors came from.

    Args:
        framework: Whose modules these are.
        neurons: Names of the modules that are neurons.
        lead: Axes of the network's input before its features.
    """

    def __init__(self, framework: Framework, neurons: Collection[str], lead: int) -> None:
        self._framework, self._neurons, self._lead = framework, neurons, lead

    def terms(self, made: Made | None, where: str) -> list[Term]:
        """The sum that a tensor is.

        Args:
            made: Where what enters a layer came from.
            where: The layer's name, for messages.

        Raises:
            InputError: It is no sum of linear maps of spikes; what was found, in which module, and what to do.
        """
        if made is None:
            raise refusal(
                where,
                "what enters must come from the network's input or its neurons, got a tensor from elsewhere (a "
                "constant, a parameter, .data)",
                "compute it from the input by torch's functions, or outside of the network",
            )
        if made.module is not None:
            return self._of_module(made, where)
        return self._of_function(made, where) if made.by != INPUT else [Term(INPUT, made.tensor)]

    def features(self, term: Term) -> tuple[int, ...]:
        """Shape of what a term gives so far, without batch and time."""
        if term.ops:
            return term.ops[-1].features
        return tuple(term.tensor.shape[self._lead :])

    def _of_module(self, made: Made, where: str) -> list[Term]:
        if made.by in self._neurons:
            if made.place:
                raise refusal(
                    where,
                    f"what enters must be spikes, got a state of {made.by!r}",
                    "read its first output, the spikes",
                )
            return [Term(made.by, made.tensor, call=made.call)]
        if len(made.inputs) != 1:
            raise refusal(
                made.by, f"a layer must take one tensor, got {len(made.inputs)}", "split it into simple layers"
            )
        terms = self.terms(made.inputs[0], made.by)
        for path, module in self._parts(made.by, made.module):
            terms = self._through(terms, path, module)
        return terms

    def _parts(self, path: str, module: Any) -> list[tuple[str, Any]]:
        if kind_of(module, self._framework.package) in self._framework.containers:
            return [part for name, child in module.named_children() for part in self._parts(f"{path}.{name}", child)]
        return [(path, module)]

    def _through(self, terms: list[Term], path: str, module: Any) -> list[Term]:
        if isinstance(module, _DROPOUTS) or type(module).__name__.startswith("Dropout"):
            return terms
        if type(module).__name__ in _TIME_ONLY or (
            isinstance(module, (nn.Flatten, nn.Unflatten)) and _first(module) == 0
        ):
            return terms
        if isinstance(module, nn.Flatten):
            return [self._with(t, Op("flatten", path, (prod(self.features(t)),))) for t in terms]
        kind, values = _kind(module)
        if kind == "avg_pool" and values[0] is None:  # of the whole image
            size = self.features(terms[0])[1:]
            values = (size, size, (0, 0), prod(size))
        if kind is None:
            raise refusal(
                path,
                f"layers between neurons must be {_KNOWN}, got {type(module).__module__}.{type(module).__name__}",
                "replace it, or put neurons in its place",
            )
        if kind in {"linear", "conv", "norm"} and len(terms) > 1:
            raise refusal(
                path,
                f"a layer must take the spikes of one source, got a sum of {' and '.join(t.source for t in terms)}",
                "add behind the layer (each term with a layer of its own), or put neurons where the sum is",
            )
        return [
            self._with(t, Op(kind, path, self._out(t, kind, module, values, path), module, values)) for t in terms
        ]

    def _out(self, term: Term, kind: str, module: Any, values: tuple[Any, ...], path: str) -> tuple[int, ...]:
        found = self.features(term)
        if kind == "linear":
            if found != (module.in_features,):
                raise refusal(
                    path,
                    f"a Linear must take ({module.in_features},) per sample and step, got {found}",
                    "flatten first",
                )
            return (module.out_features,)
        if kind == "norm":
            return found
        if len(found) != 3:
            raise refusal(path, f"images must be (channel, height, width), got {found}", "use 2D layers on images")
        if kind == "conv":
            kernel = [d * (k - 1) + 1 for d, k in zip(module.dilation, module.kernel_size, strict=True)]
            stride, padding, channels = module.stride, module.padding, module.out_channels
        else:
            kernel, stride, padding, channels = *values[:3], found[0]
        sizes = zip(found[1:], kernel, stride, padding, strict=True)
        return (channels, *((n + 2 * p - k) // s + 1 for n, k, s, p in sizes))

    @staticmethod
    def _with(term: Term, op: Op) -> Term:
        return replace(term, ops=(*term.ops, op))

    def _of_function(self, made: Made, where: str) -> list[Term]:
        name = getattr(made.function, "__name__", str(made.function))
        inputs = made.inputs
        if _only_of_input(inputs) and name not in _ADDS:
            return [Term(INPUT, made.tensor)]
        numbers = [x for x in (*made.args, *made.kwargs.values()) if isinstance(x, (int, float)) and x is not True]
        if name in _ADDS and len(inputs) == 2 and not numbers:
            shapes = [tuple(x.shape) for x in tensors_of((made.args, made.kwargs))]
            if shapes[0] != shapes[1]:
                raise self._strange(made, where, f"a sum of {shapes[0]} and {shapes[1]}")
            return self.terms(inputs[0], where) + self.terms(inputs[1], where)
        if len(inputs) != 1:
            raise self._strange(made, where, f"{name} of {len(inputs)} tensors")
        terms = self.terms(inputs[0], where)
        if name in _SAME:
            return terms
        if name in _RESHAPES:
            return [self._reshaped(t, made, where) for t in terms]
        if name in {"mul", "__mul__", "__rmul__", "div", "__truediv__", "true_divide"} and len(numbers) == 1:
            factor = 1 / numbers[0] if "div" in name else float(numbers[0])
            return [self._with(t, Op("scale", where, self.features(t), None, (factor,))) for t in terms]
        pooled = _function_as_module(name, made)
        if pooled is None:
            raise self._strange(made, where, name)
        return self._through(terms, f"{made.inside or 'the network'}: {name}", pooled)

    def _reshaped(self, term: Term, made: Made, where: str) -> Term:
        features, shape = self.features(term), tuple(made.tensor.shape)
        if shape[len(shape) - len(features) :] == features:
            return term  # batch and time only
        if shape[-1] == prod(features):
            return self._with(term, Op("flatten", where, (prod(features),)))
        raise self._strange(made, where, f"a reshape of {features} in {tuple(shape)}")

    def _strange(self, made: Made, where: str, what: str) -> InputError:
        inside = f" in the forward of {made.inside!r}" if made.inside else ""
        return refusal(
            where,
            f"what enters must be made by layers ({_KNOWN}), sums and flattening, got {what}{inside}",
            "write it with these, or put neurons in between",
        )


def _first(module: Any) -> Any:
    return module.start_dim if isinstance(module, nn.Flatten) else module.dim


def _only_of_input(inputs: Sequence[Made | None]) -> bool:
    """Whether tensors are the network's input, or made of it alone by functions."""
    return bool(inputs) and all(
        made is not None and (made.by == INPUT or (made.module is None and _only_of_input(made.inputs)))
        for made in inputs
    )


def is_plain_layer(module: torch.nn.Module) -> bool:
    """Whether a module is a layer between neurons that is known as a whole.

    Example:
        >>> is_plain_layer(torch.nn.Linear(1, 1)), is_plain_layer(torch.nn.Sequential())
        (True, False)
    """
    is_dropout = isinstance(module, _DROPOUTS) or type(module).__name__.startswith("Dropout")
    return is_dropout or isinstance(module, (nn.Flatten, nn.Unflatten)) or _kind(module)[0] is not None


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, (tuple, list)) else (int(value), int(value))


def _kind(module: Any) -> tuple[str | None, tuple[Any, ...]]:
    """What linear map a module is, and the numbers of a pool."""
    if isinstance(module, nn.Linear):
        return "linear", ()
    if isinstance(module, nn.Conv2d):
        plain = module.padding_mode == "zeros" and not isinstance(module.padding, str)
        return ("conv" if plain else None), ()
    if type(module).__name__ in _BATCH_NORMS and isinstance(module, nn.modules.batchnorm._BatchNorm):
        return ("norm" if module.running_mean is not None else None), ()
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return "avg_pool", (None, None, None, None)
    if isinstance(module, (nn.AvgPool2d, nn.MaxPool2d)) or type(module).__name__ == "SumPool2d":
        kernel, padding = _pair(module.kernel_size), _pair(getattr(module, "padding", 0))
        stride = _pair(module.kernel_size if module.stride is None else module.stride)
        strange = module.ceil_mode or _pair(getattr(module, "dilation", 1)) != (1, 1)
        divisor: float = prod(kernel)
        if isinstance(module, nn.AvgPool2d):
            strange = strange or (not module.count_include_pad and any(padding))
            divisor = module.divisor_override or divisor
        kind = "max_pool" if isinstance(module, nn.MaxPool2d) else "avg_pool"
        if type(module).__name__ == "SumPool2d":
            divisor = 1
        return (None if strange else kind), (kernel, stride, padding, divisor)
    return None, ()


def _function_as_module(name: str, made: Made) -> torch.nn.Module | None:
    """The module that a function of pooling is."""
    modules: dict[str, Callable[..., torch.nn.Module]] = {
        "avg_pool2d": nn.AvgPool2d,
        "max_pool2d": nn.MaxPool2d,
        "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    }
    if name not in modules:
        return None
    kwargs = {k: v for k, v in made.kwargs.items() if k != "input" and not isinstance(v, torch.Tensor)}
    return modules[name](*[x for x in made.args if not isinstance(x, torch.Tensor)], **kwargs)


def has_weights(module: torch.nn.Module) -> bool:
    """Whether a module is a layer with weights, or a norm.

    Example:
        >>> has_weights(torch.nn.Linear(1, 1)), has_weights(torch.nn.MaxPool2d(2))
        (True, False)
    """
    return _kind(module)[0] in {"linear", "conv", "norm"}
