"""The page: style, sections and script in one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from importlib.resources import files
from pathlib import Path

from pumice.errors import InputError
from pumice.files.paths import possible_path
from pumice.files.write import write_bytes
from pumice.names import counted
from pumice.reporting.answers import answers
from pumice.reporting.beside import beside
from pumice.reporting.findings import Findings
from pumice.reporting.layout import Section
from pumice.reporting.markup import Html, joined, tag
from pumice.reporting.sections import sections, verdict
from pumice.reporting.viewer import viewer_data

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is loaded, and no script runs but the page's own, whatever a file's names hold."""


def page_path(path: str | os.PathLike[str]) -> Path:
    """Where a page goes, before the work.

    Raises:
        InputError: It is no path, its name does not end in .html, or its folder is not there.
    """
    target = possible_path(path)
    if target.suffix not in {".html", ".htm"}:
        raise InputError(f"the report must have a name that ends in .html, got {str(path)!r}")
    if not target.absolute().parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}; make it first")
    return target


def write_page(path: Path, found: Findings, other: Findings | None = None, *, same_samples: bool = False) -> None:
    """Write the report of a network, or of two beside each other.

    Raises:
        InputError: It cannot be written.
    """
    write_bytes(path, as_page(found, other, same_samples=same_samples).encode())


def as_page(found: Findings, other: Findings | None = None, *, same_samples: bool = False) -> str:
    """The page as text; see `write_page`."""
    several = [found] if other is None else [found, other]
    title = " and ".join(f.source.title for f in several)
    script = _resource("page.js")
    main = tag("main", _header(several), _body(several, same_samples))
    data = tag("script", _json([viewer_data(f) for f in several]), type="application/json", id="data")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = f"{_POLICY}; script-src 'sha256-{digest}'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title}: report"),
        tag("style", Html(_resource("page.css"))),
    )
    body = tag("body", main, data, tag("script", Html(script)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _resource(name: str) -> str:
    return files("pumice.reporting").joinpath(name).read_text(encoding="utf-8")


def _json(value: object) -> Html:
    """JSON that does not end the script around it."""
    return Html(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


def _header(several: list[Findings]) -> Html:
    exact = all(f.is_exact for f in several)
    first = several[0]
    title = first.source.title if several[1:] == [] else f"{first.source.title} beside {several[1].source.title}"
    state = "every integer that was compared is equal" if exact else "with differences"
    neurons = counted(sum(p.neurons for p in first.populations), "neuron")
    size = f"{counted(len(first.populations), 'population')} and {neurons}"
    lead = f"A spiking network of {size}, from {first.source.origin}."
    return tag("header", tag("h1", f"{title}: {state}"), tag("p", lead, class_="lead"))


def _body(several: list[Findings], same_samples: bool) -> Html:
    first, *others = several
    if not others:
        of_first = sections(0, first, answers(first))
        return joined(verdict(first), _index(of_first), [section.drawn() for section in of_first])
    compared = beside(first, others[0], same_samples=same_samples)
    columns = []
    for number, found in enumerate(several):
        own, suffix = sections(number, found, answers(found)), f"-{number + 1}"
        drawn = [section.drawn(suffix, level=3) for section in own]
        columns.append(tag("div", tag("h2", found.source.title), verdict(found), _index(own, suffix), drawn))
    return joined(compared.drawn(), tag("div", columns, class_="columns"))


def _index(listed: list[Section], suffix: str = "") -> Html:
    links = [tag("a", section.short, href=f"#{section.name}{suffix}") for section in listed]
    return tag("nav", links, aria_label="Sections")
