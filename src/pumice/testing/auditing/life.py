"""Writes what happens to a network between its construction and its lowering."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Options = Mapping[str, Any]
Writer = Callable[[Options], list[str]]


def _weights(options: Options) -> list[str]:
    """Every synapse's weights larger or smaller."""
    return [
        "with torch.no_grad():",
        "    for name, parameter in model.named_parameters():",
        '        if name.endswith(("weight", "weight_v", "weight_g", "original0")) and parameter.requires_grad:',
        f"            parameter.mul_({options.get('by', 4.0)!r})",
    ]


def _norms(options: Options) -> list[str]:
    """Gains and shifts that training could have found, some gains 0."""
    return [
        "with torch.no_grad():",
        "    for module in model.modules():",
        "        if isinstance(module, nn.TDBN):",
        f"            module.scale.copy_(torch.randn_like(module.scale) * {options.get('scale', 1.0)!r})",
        *(
            [f"            module.scale[torch.rand_like(module.scale) < {options['zero']!r}] = 0"]
            if "zero" in options
            else []
        ),
        "            if isinstance(module.shift, torch.nn.Parameter):",
        f"                module.shift.copy_(torch.randn_like(module.shift) * {options.get('shift', 0.3)!r})",
    ]


def _delays(options: Options) -> list[str]:
    """Trained delays of any length."""
    return [
        "with torch.no_grad():",
        "    for module in model.modules():",
        "        if isinstance(module, Delay):",
        f"            module.delay.uniform_(0, {options.get('to', 6.0)!r})",
    ]


def _statistics(options: Options) -> list[str]:
    return [
        "model.train()",
        "with torch.no_grad():",
        f"    for _ in range({options.get('batches', 2)!r}):",
        f"        model({_batch(options)})",
        "model.eval()",
    ]


def _train(options: Options) -> list[str]:
    return [f"train(model, {_batch(options)}, steps={options.get('steps', 2)!r}, lr={options.get('lr', 0.01)!r})"]


def _batch(options: Options) -> str:
    """The example, or fresh data of another batch size."""
    return f"draw({options['batch']!r}, EXAMPLE)" if "batch" in options else "example"


def _inference(options: Options) -> list[str]:
    """A forward pass that no gradient will ever go through."""
    return ["with torch.inference_mode():", f"    model({_batch(options)})"]


def _deploy(options: Options) -> list[str]:
    return ["pumice.quantize_(model, example, input_range=INPUT_RANGE)"]


def _reload(options: Options) -> list[str]:
    """Into a network that has never seen a sample."""
    return [
        "state = through_a_file(model.state_dict())",
        "fresh = Net()",
        "if is_quantized(model):",
        "    pumice.quantize_(fresh, example, input_range=INPUT_RANGE)",
        "fresh.load_state_dict(state)",
        "model = fresh.eval()",
    ]


def _copied(function: str) -> Writer:
    return lambda options: [f"model = {function}"]


WRITERS: dict[str, Writer] = {
    "weights": _weights,
    "norms": _norms,
    "delays": _delays,
    "statistics": _statistics,
    "train": _train,
    "inference": _inference,
    "deploy": _deploy,
    "reload": _reload,
    "deepcopy": _copied("copy.deepcopy(model)"),
    "pickle": _copied("pickle.loads(pickle.dumps(model))"),
    "save": _copied("through_a_file(model)"),
    "training mode": _copied("model.train()"),
    "gradient": lambda options: [f"nn.set_gradient_(model, {options.get('kind', 'slayer')!r})"],
    "frozen": _copied("model.requires_grad_(False)"),
}
"""The kinds of steps."""
