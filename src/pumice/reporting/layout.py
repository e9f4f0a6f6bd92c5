"""What sections are made of: headings, tables, shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pumice.reporting.charts import share
from pumice.reporting.markup import Html, tag

MOST_ROWS = 200


class Section(NamedTuple):
    """A part of the page under a heading, which the page's index leads to.

    Attributes:
        name: Its name in links.
        short: What the index calls it.
        title: The heading.
        content: What is below.
    """

    name: str
    short: str
    title: str
    content: Html

    def drawn(self, suffix: str = "", level: int = 2) -> Html:
        """The element; a page with two networks tells their sections apart by a suffix."""
        heading = tag(f"h{level}", self.title, id=self.name + suffix)
        return tag("section", heading, self.content, aria_labelledby=self.name + suffix)


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str | None = None) -> Html:
    """A table that scrolls by itself where the screen is narrow; the first column names the rows.

    A cell is text, a number, or an element `td`.
    """
    shown = [_row(row) for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        shown.append(tag("tr", tag("td", f"and {len(rows) - MOST_ROWS:,} more", colspan=len(head), class_="left")))
    header = tag(
        "thead",
        tag("tr", [tag("th", text, scope="col", class_=None if i else "left") for i, text in enumerate(head)]),
    )
    body = tag("table", None if caption is None else tag("caption", caption), header, tag("tbody", shown))
    return tag("div", body, class_="scroll", tabindex=0, role="region", aria_label=caption or head[0])


def _row(row: Sequence[object]) -> Html:
    first, *others = row
    cells = [c if isinstance(c, Html) and c.startswith("<td") else tag("td", c) for c in others]
    return tag("tr", tag("th", first, scope="row"), cells)


def percent(value: float) -> str:
    """A share as people read it.

    Example:
        >>> percent(0.98765), percent(0.00042), percent(0.0)
        ('98.77 %', '0.042 %', '0.00 %')
    """
    return f"{100 * value:.2f} %" if value >= 0.001 or not value else f"{100 * value:.2g} %"


def count_of(n: int) -> Html:
    """A cell that says how many differ."""
    return tag("td", f"{n:,}", class_="wrong" if n else None)


def used(value: int, most: int, text: str) -> Html:
    """A cell with a bar for the bits of a number, sign aside."""
    return share(abs(int(value)).bit_length() / most.bit_length(), text)
