"""What enters a layer of neurons, as linear maps of spikes: read backwards from the tensor to where it came from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import nn

from pumice.errors import InputError
from pumice.frameworks.facts import Framework, kind_of, refusal
from pumice.frameworks.kinds import KNOWN, as_image, axes_in, function_as_module, geometry, kind_and_values, passes_on
from pumice.frameworks.recording import Made, functions_behind, only_of_input, tensors_of

INPUT = "input"
_SAME = {"clone", "contiguous", "to", "float", "double", "detach", "dropout", "requires_grad_", "type", "identity"}
_RESHAPES = {"flatten", "reshape", "view", "squeeze", "unsqueeze", "unflatten"}
_ARRANGES = {"__getitem__", "select", "unbind", "split", "chunk", "transpose", "permute", "movedim", "swapaxes"}
_ARRANGES |= _SAME | _RESHAPES
_ADDS = {"add", "__add__", "__radd__", "__iadd__", "add_"}
_PRODUCTS = {"mul", "__mul__", "__rmul__", "multiply", "logical_and", "__and__", "bitwise_and"}
_QUOTIENTS = {"div", "__truediv__", "true_divide"}
_COMPLEMENTS = {"rsub", "__rsub__"}
_CONCATENATIONS = {"cat", "concat", "concatenate"}
_TIME_ONLY = {"FlattenTime", "UnflattenTime", "Repeat"}
_GATES = {"max_pool", "and", "not"}


@dataclass(frozen=True, eq=False)
class Op:
    """One map.

    Attributes:
        kind: "linear", "conv", "one_to_one", "norm", "avg_pool", "max_pool", "flatten", "scale", "place", "and" or
            "not".
        path: The module's name, or where the function was called.
        features: Shape of what leaves, without batch and time.
        module: The torch module, of those that have weights.
        values: Of pools kernel, stride and padding, (y, x) each, and the divisor; of "scale" the factor; of "place",
            a part of a concatenation, its first channel; of "and" the other term, and whether it must not fire.
        adds: Whether the module's bias counts: of a sum's terms, only for the first.
        folds: Whether a norm is a norm of a sum's term, so that it can only be folded.
    """

    kind: str
    path: str
    features: tuple[int, ...]
    module: Any = None
    values: tuple[Any, ...] = ()
    adds: bool = True
    folds: bool = False


@dataclass(frozen=True, eq=False)
class Term:
    """Maps of one source.

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

    Attributes:
        outside: Functions of the network's input alone, in front of its layers.
    """

    def __init__(self, framework: Framework, neurons: Collection[str], lead: int) -> None:
        self._framework, self._neurons, self._lead = framework, neurons, lead
        self.outside: dict[str, None] = {}

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

    def behind(self, terms: list[Term], path: str, modules: Sequence[nn.Module]) -> list[Term]:
        """What layers make of terms, one after the other."""
        for module in modules:
            terms = self._through(terms, path, module)
        return terms

    def features(self, term: Term) -> tuple[int, ...]:
        """Shape of what a term gives so far, without batch and time."""
        if term.ops:
            return term.ops[-1].features
        return as_image(term.tensor.shape[self._lead :])

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
        if passes_on(module):
            return terms
        if type(module).__name__ in _TIME_ONLY or (
            isinstance(module, (nn.Flatten, nn.Unflatten)) and _first(module) == 0
        ):
            return terms
        if isinstance(module, nn.Flatten):
            return [self._flattened(t, path) for t in terms]
        kind, values = kind_and_values(module)
        if kind == "avg_pool" and values[0] is None:  # of the whole image
            size = self.features(terms[0])[1:]
            values = (size, size, (0, 0), prod(size))
        if kind is None:
            raise refusal(
                path,
                f"layers between neurons must be {KNOWN}, got {type(module).__module__}.{type(module).__name__}",
                "replace it, or put neurons in its place",
            )
        return self._mapped(terms, kind, path, module, values)

    def _mapped(self, terms: list[Term], kind: str, path: str, module: Any, values: tuple[Any, ...]) -> list[Term]:
        """Each term behind a map; what it adds, a bias, counts once."""
        seen: set[int] = set()
        found: list[Term] = []
        for term in terms:
            out = self._out(term, kind, module, values, path)
            channels = set(self._channels(term))
            again = seen & channels
            seen |= channels
            if again and kind == "max_pool":
                raise refusal(
                    path,
                    "a max pool must be of spikes of one source, got a sum of "
                    + " and ".join(dict.fromkeys(t.source for t in terms)),
                    "pool each before the sum, or use an average pool",
                )
            if again and again != channels and kind == "norm":
                raise refusal(
                    path,
                    "a norm must take sums of equal parts, got a concatenation that overlaps what is added to it",
                    "give each branch a norm of its own",
                )
            adds = not again if kind == "norm" else not found
            found.append(self._with(term, Op(kind, path, out, module, values, adds=adds)))
        if kind == "norm" and sum(len(self._channels(t)) for t in terms) > len(seen):
            return [replace(t, ops=(*t.ops[:-1], replace(t.ops[-1], folds=True))) for t in found]
        return found

    def _channels(self, term: Term) -> range:
        """Which channels a term's own are, in the concatenation that it is part of."""
        first, own = 0, None
        for index, op in enumerate(term.ops):
            if op.kind == "place":
                before = self.features(replace(term, ops=term.ops[:index]))[0]
                first, own = first + op.values[0], before if own is None else own
            elif op.kind == "flatten" and own is not None:
                size = op.features[0] // self.features(replace(term, ops=term.ops[:index]))[0]
                first, own = first * size, own * size
            elif op.kind in {"linear", "conv"}:
                first, own = 0, None
        return range(first, first + (self.features(term)[0] if own is None else own))

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
        if kind in {"norm", "one_to_one"}:
            return found
        if len(found) != 3:
            raise refusal(path, f"images must be (channel, height, width), got {found}", "use 2D layers on images")
        if kind == "conv":
            numbers = geometry(module)
            sizes = [1, *module.kernel_size][-2:]
            kernel = [d * (k - 1) + 1 for d, k in zip(numbers["dilation"], sizes, strict=True)]
            stride, padding, channels = numbers["stride"], numbers["padding"], module.out_channels
        else:
            kernel, stride, padding, channels = *values[:3], found[0]
        axes = zip(found[1:], kernel, stride, padding, strict=True)
        return (channels, *((n + 2 * p - k) // s + 1 for n, k, s, p in axes))

    @staticmethod
    def _with(term: Term, op: Op) -> Term:
        return replace(term, ops=(*term.ops, op))

    def _flattened(self, term: Term, where: str) -> Term:
        return self._with(term, Op("flatten", where, (prod(self.features(term)),)))

    def _of_function(self, made: Made, where: str) -> list[Term]:
        name = getattr(made.function, "__name__", str(made.function))
        if only_of_input(made.inputs) and name not in _ADDS:
            self.outside |= dict.fromkeys(name for name in functions_behind(made) if name not in _ARRANGES)
            return [Term(INPUT, made.tensor)]
        if name in _CONCATENATIONS:
            return self._side_by_side(made, where)
        numbers = [x for x in (*made.args, *made.kwargs.values()) if isinstance(x, (int, float)) and x is not True]
        if len(made.inputs) == 2 and not numbers and name in _ADDS | _PRODUCTS:
            return self._sum(made, where) if name in _ADDS else [self._both(made, where)]
        if len(made.inputs) != 1:
            raise self._strange(made, where, f"{name} of {len(made.inputs)} tensors")
        return self._of_one(made, name, self.terms(made.inputs[0], where), numbers, where)

    def _of_one(self, made: Made, name: str, terms: list[Term], numbers: Sequence[float], where: str) -> list[Term]:
        """A function of one tensor."""
        if name in _SAME:
            return terms
        if name in _RESHAPES:
            return [self._reshaped(t, made, where) for t in terms]
        if name in _COMPLEMENTS and numbers == [1] and len(terms) == 1:
            return [self._with(terms[0], Op("not", where, self.features(terms[0])))]
        if name in _PRODUCTS | _QUOTIENTS and len(numbers) == 1:
            factor = 1 / numbers[0] if name in _QUOTIENTS else float(numbers[0])
            return [self._with(t, Op("scale", where, self.features(t), None, (factor,))) for t in terms]
        pooled = function_as_module(name, made)
        if pooled is None:
            raise self._strange(made, where, name)
        return self._through(terms, f"{made.inside or 'the network'}: {name}", pooled)

    def _sum(self, made: Made, where: str) -> list[Term]:
        one, other = (tuple(x.shape) for x in tensors_of((made.args, made.kwargs)))
        if one != other:
            raise self._strange(made, where, f"a sum of {one} and {other}")
        return [term for x in made.inputs for term in self.terms(x, where)]

    def _reshaped(self, term: Term, made: Made, where: str) -> Term:
        features, shape = self.features(term), tuple(made.tensor.shape)
        if axes_in(features, shape) is not None:
            return term  # batch and time only, or a row as an image of height 1
        if shape[-1] == prod(features):
            return self._flattened(term, where)
        raise self._strange(made, where, f"a reshape of {features} in {tuple(shape)}")

    def _side_by_side(self, made: Made, where: str) -> list[Term]:
        """A concatenation of channels."""
        tensors = list(tensors_of(made.args or made.kwargs))
        dim = made.kwargs.get("dim", made.kwargs.get("axis", made.args[1] if len(made.args) > 1 else 0))
        parts = [self.terms(x, where) for x in made.inputs]
        sizes = [self.features(terms[0]) for terms in parts]
        total = sum(size[0] for size in sizes)
        features = (total, *sizes[0][1:])
        axes = axes_in(features, tuple(made.tensor.shape))
        if axes is None or dim % made.tensor.ndim != made.tensor.ndim - axes or len(tensors) != len(parts):
            raise self._strange(
                made, where, f"{made.function.__name__} along axis {dim} of {tuple(made.tensor.shape)}"
            )
        firsts = [sum(size[0] for size in sizes[:k]) for k in range(len(sizes))]
        return [
            self._with(term, Op("place", where, features, None, (first,)))
            for first, terms in zip(firsts, parts, strict=True)
            for term in terms
        ]

    def _both(self, made: Made, where: str) -> Term:
        """Spikes times spikes, or times 1 - spikes: fires where the one fires and the other does, or does not."""
        sides = [self.terms(x, where) for x in made.inputs]
        if any(len(terms) != 1 or any(op.kind not in _GATES for op in terms[0].ops) for terms in sides):
            raise self._strange(made, where, "a product of what are no spikes")
        terms = sorted((terms[0] for terms in sides), key=_is_complement)
        if _is_complement(terms[0]):
            raise self._strange(made, where, "a product of two complements (1 - spikes)")
        for term in terms:
            if term.source == INPUT and not bool(((term.tensor == 0) | (term.tensor == 1)).all()):
                raise self._strange(made, where, "a product of spikes and an input that is not 0 or 1")
        one, other = terms
        negated = _is_complement(other)
        if negated:
            other = replace(other, ops=other.ops[:-1])
        path = f"{made.inside or 'the network'}: {'IAND' if negated else 'AND'}"
        return self._with(one, Op("and", path, self.features(one), None, (other, negated)))

    def _strange(self, made: Made, where: str, what: str) -> InputError:
        inside = f" in the forward of {made.inside!r}" if made.inside else ""
        return refusal(
            where,
            f"what enters must be made by layers ({KNOWN}), sums, concatenations of channels, products of spikes and "
            f"flattening, got {what}{inside}",
            "write it with these, or put neurons in between",
        )


def _is_complement(term: Term) -> bool:
    return bool(term.ops) and term.ops[-1].kind == "not"


def _first(module: Any) -> Any:
    return module.start_dim if isinstance(module, nn.Flatten) else module.dim
