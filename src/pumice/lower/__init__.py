"""From a trained torch network to a graph of integers.

The module can be called: `pumice.lower(model, example_input)` is `pumice.lower.lower(model, example_input)`.
"""

import sys
from types import ModuleType
from typing import Any

from pumice.lower.lower import lower

__all__ = ["lower"]


class _CallableModule(ModuleType):
    __call__ = staticmethod(lower)

    def __repr__(self) -> str:
        return f"<callable module {self.__name__!r}>"


def _make_callable(module: Any) -> None:
    module.__class__ = _CallableModule


_make_callable(sys.modules[__name__])
