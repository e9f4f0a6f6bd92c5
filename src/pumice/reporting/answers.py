"""What was answered: confusions of classes, or numbers against their targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.names import counted
from pumice.reporting.charts import scatter
from pumice.reporting.findings import Findings
from pumice.reporting.layout import Section, percent, table
from pumice.reporting.markup import Html, joined, tag

IntArray = npt.NDArray[np.integer[Any]]

MOST_CLASSES = 30
"""Of a matrix that people can read; beyond, only what was mistaken most often is listed."""
MOST_MISTAKES = 20
MOST_POINTS = 400
MOST_OUTPUTS = 4


def answers(found: Findings) -> Section | None:
    """The section; None where nobody knows what is right."""
    if not found.source.has_labels:
        return None
    if found.evaluation.has_targets:
        return Section("answers", "Answers", "Answers", tag("div", list(_scatters(found)), class_="pair"))
    return Section("answers", "Answers", "Answers", joined(*_confusion(found)))


def confusion_counts(labels: IntArray, predictions: IntArray, n: int) -> IntArray:
    """How often each class (row) was taken for each (column).

    Example:
        >>> confusion_counts(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
        [[1, 0], [1, 1]]
    """
    counts = np.zeros((n, n), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def _confusion(found: Findings) -> Iterator[Html]:
    evaluation = found.evaluation
    n = found.source.graph.output.size
    counts = confusion_counts(evaluation.labels, evaluation.predictions, n)
    if n <= MOST_CLASSES:
        yield _matrix(found, counts)
    wrong = counts * (1 - np.eye(n, dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_MISTAKES]
    places = [(i, j) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[i, j]]
    if not places:
        yield tag("p", "No sample was mistaken.")
        return
    rows = [
        (
            found.source.class_name(int(i)),
            found.source.class_name(int(j)),
            f"{wrong[i, j]:,}",
            percent(wrong[i, j] / counts[i].sum()),
        )
        for i, j in places
    ]
    listed = table(["class", "taken for", "times", "of the class"], rows)
    summary = f"{int(wrong.sum()):,} mistakes; the most frequent ones"
    yield tag("details", tag("summary", summary), listed, open=n > MOST_CLASSES)


def _matrix(found: Findings, counts: IntArray) -> Html:
    names = [found.source.class_name(i) for i in range(len(counts))]
    rows = []
    for i, row in enumerate(counts):
        total = max(int(row.sum()), 1)
        cells = [_cell(int(count), count / total, i == j, f"{names[i]} as {names[j]}") for j, count in enumerate(row)]
        rows.append([names[i], *cells])
    head = ["true \\ answered", *names]
    caption = f"{counted(int(counts.sum()), 'sample')}; rows: the true class, columns: the answer"
    return tag("div", table(head, rows, caption=caption), class_="confusion")


def _cell(count: int, part: float, right: bool, what: str) -> Html:
    kind = "right" if right else ("mistake" if count else "none")
    return tag(
        "td",
        count or "",
        class_=kind,
        style=f"--share:{100 * part:.0f}%" if count else None,
        title=f"{what}: {count}",
    )


def _scatters(found: Findings) -> Iterator[Html]:
    evaluation = found.evaluation
    for k in range(min(evaluation.labels.shape[1], MOST_OUTPUTS)):
        wanted, got = (np.asarray(values)[:, k].reshape(-1) for values in (evaluation.labels, evaluation.predictions))
        every = max(1, -(-len(wanted) // MOST_POINTS))
        points = [(float(a), float(b)) for a, b in zip(wanted[::every], got[::every], strict=True)]
        error = float(np.sqrt(np.mean(np.square(got - wanted))))
        title = f"{found.source.class_name(k)}: root mean squared error {error:.4g}"
        alt = f"{title}; {len(points)} points of {len(wanted)}, target across, answer upwards"
        yield scatter(title, points, x_label="target", y_label="answer", alt=alt)
