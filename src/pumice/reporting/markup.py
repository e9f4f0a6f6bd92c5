"""HTML and SVG elements as text in which everything that is not an element is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

VOID = {"br", "col", "hr", "img", "input", "meta"}


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """An element. Text among its children, and the values of its attributes, are escaped.

    Args:
        name: "p", "td", "path", ...
        children: Elements, text, numbers, or lists of them; None is left out.
        attributes: `class_` is class, `aria_label` is aria-label; None and False leave one out, True has no value.

    Example:
        >>> tag("p", "a < b", tag("b", 1), class_="note", hidden=True)
        '<p class="note" hidden>a &lt; b<b>1</b></p>'
    """
    shown = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    inside = "".join(pieces(children))
    return Html(f"<{name}{shown}>" if name in VOID else f"<{name}{shown}>{inside}</{name}>")


def pieces(children: Iterable[Any]) -> Iterable[str]:
    """Each child as markup, one after the other."""
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            yield child
        elif isinstance(child, str) or not isinstance(child, Iterable):
            yield html.escape(str(child))
        else:
            yield from pieces(child)


def joined(*children: Any) -> Html:
    """Children without an element around them.

    Example:
        >>> joined("R&D", [tag("br")])
        'R&amp;D<br>'
    """
    return Html("".join(pieces(children)))


def _attribute(key: str, value: Any) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
