"""One page about a network."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pumice.backends import AnyBackend, get_backend
from pumice.errors import InputError
from pumice.reporting.findings import Findings
from pumice.reporting.measure import measure
from pumice.reporting.page import page_path, write_page
from pumice.reporting.sources import open_source

SAMPLES = 1000
SHOWN = 4
MOST_SHOWN = 32


def report(
    source: Any,
    path: str | os.PathLike[str] = "report.html",
    *,
    data: Iterable[tuple[Any, ...]] | None = None,
    compare: Any = None,
    data_root: str | os.PathLike[str] | None = None,
    samples: int = SAMPLES,
    shown: int = SHOWN,
    check: AnyBackend | Sequence[AnyBackend] = (),
    readout: str = "sent",
    trust: Collection[str] = (),
) -> Findings:
    """Write one page about a network, which needs no other file and no network connection.

    It says what was answered, how busy each layer is, how many bits are in use, what a chip would make of it, and
    holds the fast backend against the reference; samples can be looked at step by step. The page sends nothing
    anywhere, and every name from a file is shown as text.

    Args:
        source: A graph, a .net file, a checkpoint of `pumice train`, the folder of a run, or a `PipelineResult`.
        path: Where the page goes, a name that ends in .html.
        data: Labelled samples, as `pumice.evaluate` takes them. If not given, the test split that the network's
            recipe names; if it is not there, the certificate's input; without one, random input: the page says which.
        compare: Another network, of the same kinds, to be laid beside.
        data_root: Folder with the data that the recipe names.
        samples: At most so many run.
        shown: So many can be looked at step by step, 1 to 32.
        check: Further backends to be held against the reference on some samples, such as "lava".
        readout: See `pumice.evaluate`.
        trust: Modules outside the current folder that a file may name; see `pumice.train.restore`.

    Returns:
        What the page says; `is_exact` is the verdict, `beside` what it says of the other network.

    Raises:
        InputError: The source, an argument or a sample does not fit, or the page cannot be written.
        PumiceError: What reading and running the network raise.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pumice.ir import Timing
        >>> from pumice.ir.builder import chain
        >>> graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=5))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = report(graph, f"{folder}/report.html", data=[(np.ones((5, 4), int), 1)])
        ...     len(found.shown), found.differing, (Path(folder) / "report.html").exists()
        (1, 0, True)
    """
    target = page_path(path)
    for name, value, most in (("samples", samples, None), ("shown", shown, MOST_SHOWN)):
        if not isinstance(value, int | np.integer) or value < 1 or (most is not None and value > most):
            allowed = "at least 1" if most is None else f"1 to {most}"
            raise InputError(f"{name} must be an integer, {allowed}, got {value!r}")
    several = [check] if isinstance(check, str) or not isinstance(check, Sequence) else check
    backends = [get_backend(backend) for backend in several]

    def found_of(source: Any, samples_of: Iterable[tuple[Any, ...]] | None) -> Findings:
        opened = open_source(source, data=samples_of, data_root=data_root, limit=samples, trust=trust)
        try:
            return measure(opened, limit=samples, shown=shown, check=backends, readout=readout)
        except InputError as error:
            raise InputError(f"{opened.origin}: {error}") from error

    kept = data if data is None or compare is None else list(data)
    found = found_of(source, kept)
    if compare is None:
        write_page(target, found)
        return found
    other = found_of(compare, kept)
    found, other = _told_apart(found, other)
    write_page(target, found, other, same_samples=_same_samples(found, other, kept is not None))
    return replace(found, beside=other)


def _told_apart(found: Findings, other: Findings) -> tuple[Findings, Findings]:
    """Networks of one name get letters."""
    if found.source.title != other.source.title:
        return found, other
    renamed = [
        replace(f, source=replace(f.source, title=f"{f.source.title} ({letter})"))
        for f, letter in ((found, "A"), (other, "B"))
    ]
    return renamed[0], renamed[1]


def _same_samples(found: Findings, other: Findings, is_given: bool) -> bool:
    """Whether both ran the same: what the caller gave, or the same data of recipes, with equal labels."""
    first, second = found.evaluation.labels, other.evaluation.labels
    recorded = found.source.has_labels and other.source.has_labels and found.source.data == other.source.data
    return (is_given or recorded) and bool(np.array_equal(first, second))
