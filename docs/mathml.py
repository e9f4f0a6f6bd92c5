"""Formulas as MathML, which browsers draw themselves: MathJax would be loaded from another site."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

UNKNOWN = (
    (re.compile(r"\\(?:[bB]ig+[lr]?|mathrel)(?![a-z])"), ""),
    (re.compile(r"\\texttt\b"), r"\\mathtt"),
    (re.compile(r"\\dots\b"), r"\\ldots"),
)
"""What docutils does not know: sizes of brackets, space around relations, and other names for what it knows."""

log = logging.getLogger(__name__)


def as_mathml(node: nodes.Node, *, as_block: bool) -> str:
    """A formula of TeX; several lines are aligned at their &. What cannot be drawn is a warning."""
    text = node.astext()
    for pattern, replacement in UNKNOWN:
        text = pattern.sub(replacement, text)
    if ("&" in text or r"\\" in text) and r"\begin{aligned}" not in text and not text.lstrip().startswith(r"\begin"):
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    try:
        return tex2mathml(text, as_block=as_block)
    except (MathError, AttributeError) as error:  # the second is docutils' own, of an & outside of a table
        log.warning("a formula that docutils cannot draw: %s: %s", error, text, location=node)
        return f"<code>{escape(text)}</code>"


def visit_math(translator: Any, node: nodes.math) -> None:
    """A formula within a line."""
    translator.body.append(as_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_displaymath(translator: Any, node: nodes.math_block) -> None:
    """A formula of its own."""
    translator.body.append(f'<div class="math">{as_mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
