"""A case as a Python script of its own: what the audit runs is what a reader gets."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from pumice.testing.auditing import helpers
from pumice.testing.auditing.case import Case
from pumice.testing.auditing.life import WRITERS
from pumice.testing.auditing.parts import write_part
from pumice.testing.auditing.pen import Pen, call_source
from pumice.testing.auditing.settings import LAYOUTS, SETTINGS

HELPERS: tuple[Callable[..., Any], ...] = (
    helpers.draw,
    helpers.expanded,
    helpers.setting,
    helpers.train,
    helpers.through_a_file,
)
IMPORTS: dict[str, str] = {
    "copy": "import copy",
    "io": "import io",
    "pickle": "import pickle",
    "warnings": "import warnings",
    "Callable": "from collections.abc import Callable, Iterator",
    "contextmanager": "from contextlib import contextmanager",
    "partial": "from functools import partial",
    "Any": "from typing import Any",
    "torch": "import torch",
    "slayer": "from lava.lib.dl.slayer.block import cuba as slayer",
    "MeanOnlyBatchNorm": "from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm",
    "WgtScaleBatchNorm": "from lava.lib.dl.slayer.neuron.norm import WgtScaleBatchNorm",
    "nn": "from pumice import nn",
    "pumice": "import pumice",
    "is_quantized": "from pumice.quantization import is_quantized",
    "LavaBackend": "from pumice.backends.lava import LavaBackend",
    "Delay": "from pumice.nn import Delay",
    "check_exact": "from pumice.testing.exact import check_exact, lower_checked, tensors",
}
"""What a script imports if it needs the name."""
LAVA: dict[str, str] = {
    "one process": "LavaBackend(one_process=True)",
    "threads": "LavaBackend(in_threads=True)",
    "processes": "LavaBackend()",
}


def write_script(case: Case, why: str = "") -> str:
    """The case as Python.

    Args:
        case: Any.
        why: What its docstring says, one or more lines.

    Example:
        >>> from pumice.testing.auditing.case import Part
        >>> case = Case(seed=1, input_shape=(3,), time=4, parts=(Part("dense", (0,), {"out": 2}),), returns=(1,))
        >>> print(write_network(case))
        class Net(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.dense0 = nn.Dense({'threshold': 0.5, 'current_decay': 1.0, 'voltage_decay': 0.25}, 3, 2)
        <BLANKLINE>
            def forward(self, x):
                h0 = self.dense0(x)
                return h0
    """
    body = write_network(case) + "\n\n\n" + _main(case)
    used = [textwrap.dedent(inspect.getsource(f)) for f in HELPERS if re.search(rf"\b{f.__name__}\(", body)]
    body = "\n\n".join([*used, body])
    imports = [line for name, line in IMPORTS.items() if re.search(rf"\b{name}\b", body)]
    standard = [line for line in imports if line.split()[1] in _STANDARD]
    others = [line for line in imports if line not in standard]
    constants = (
        f"INPUT_SHAPE, TIME, INPUT_RANGE = {tuple(case.input_shape)!r}, {case.time}, {tuple(case.input_range)!r}"
    )
    heading = (
        '"""'
        + textwrap.dedent(why or "A case of `pumice audit`.").replace("\\", "/").replace('"""', "'''").strip()
        + '\n"""'
    )
    return "\n".join([heading, "", *standard, "", *others, "", constants, "", "", body])


_STANDARD = ("copy", "io", "pickle", "warnings", "collections.abc", "contextlib", "functools", "typing")


def write_network(case: Case) -> str:
    """The class of the case's network."""
    pen = Pen(case.input_shape)
    for part in case.parts:
        write_part(pen, part.kind, part.sources, part.options)
    returned = _returned(pen, case)
    lines = [
        "class Net(torch.nn.Module):",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        *(f"        {line}" for line in pen.made),
        "",
        "    def forward(self, x):",
        *(f"        {line}" for line in pen.computed),
        f"        return {returned}",
    ]
    return "\n".join(lines)


def _returned(pen: Pen, case: Case) -> str:
    names = list(dict.fromkeys(pen.spikes(pen.values[index]).name for index in case.returns))
    kind = case.returned_as
    if kind == "dict":
        return "{" + ", ".join(f'"{name}": {name}' for name in names) + "}"
    if kind == "one":
        return names[0]
    return f"({', '.join(names)},)" if kind == "tuple" else f"[{', '.join(names)}]"


def _main(case: Case) -> str:
    layouts = [LAYOUTS[name] for name in case.layouts]
    backends = '"fast"' + (f", {LAVA[case.lava]}" if case.lava else "")
    lowering = call_source("lower_checked", "model", "example", input_range="INPUT_RANGE", **_quoted(case.lower))
    lines = [
        'warnings.simplefilter("ignore")',
        "torch.set_num_threads(1)",
        f"torch.manual_seed({case.seed})",
        "model = Net().eval()",
        f"example = {layouts[0].format(_draw(case.batch, case.example))}",
        *(
            line.replace("EXAMPLE", f'"{case.example}"')
            for step in case.life
            for line in WRITERS[step.kind](step.options)
        ),
        *_under(case.lower_under, f"graph = {lowering}"),
        f"samples = {layouts[1].format(_draw(case.samples, case.values))}",
        *_under(case.run_under, f"return check_exact(model, graph, samples, backends=[{backends}])"),
    ]
    body = "\n".join(f"    {line}" for line in lines)
    run = 'if __name__ == "__main__":\n    print(main(), "integers compared, all equal")\n'
    return f"def main() -> int:\n{body}\n\n\n{run}"


def _draw(n: int, kind: str) -> str:
    return f'draw({n}, "{kind}")'


def _quoted(options: Any) -> dict[str, Any]:
    return {name: repr(value) if isinstance(value, str) else value for name, value in options.items()}


def _under(settings: tuple[str, ...], line: str) -> list[str]:
    if not settings:
        return [line]
    return [f"with {', '.join(SETTINGS[name] for name in settings)}:", f"    {line}"]
