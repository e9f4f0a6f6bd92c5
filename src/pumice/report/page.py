"""The page: facts and pictures put into the template."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from pumice.errors import InternalError
from pumice.files.write import replace_atomically
from pumice.ir import Certificate, Graph, latencies
from pumice.pipeline import PipelineResult
from pumice.report.figures import confusion, firing_rates, learning_curve, raster


def write_report(result: PipelineResult, path: str | os.PathLike[str]) -> Path:
    """Write one HTML page that needs no other file and no network.

    Args:
        result: Of `pumice.pipeline.run_pipeline`.
        path: The page.

    Returns:
        The same path.

    Raises:
        InputError: The page cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pumice", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("template.html").render(**_context(result))
    with replace_atomically(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return Path(path)


def _context(result: PipelineResult) -> dict[str, Any]:
    dataset = result.trained.dataset
    labels = dataset.test.labels
    return {
        "result": result,
        "recipe": result.trained.recipe,
        "dataset": dataset,
        "layers": list(zip(result.lava_comparison, result.torch_comparison, strict=True)),
        "populations": _populations(result.graph),
        "certificate": _certificate(result.graph, result.path),
        "origin": {key: value for key, value in result.graph.info.items() if key != "recipe"},
        "recipe_json": result.trained.recipe.model_dump_json(indent=2),
        "learning_curve": learning_curve(result.trained.history),
        "confusion": confusion(labels, result.predictions, dataset.class_names),
        "firing_rates": firing_rates(result),
        "raster": raster(result, sample=_first_right(result)),
    }


def _first_right(result: PipelineResult) -> int:
    n = len(result.on_test.samples)
    return int(np.argmax(result.predictions[:n] == result.trained.dataset.test.labels[:n]))


def _populations(graph: Graph) -> list[dict[str, Any]]:
    lag = latencies(graph)
    rows = []
    for p in graph.populations:
        weights = [np.asarray(getattr(s, "weight", getattr(s, "values", 0))) for s in graph.into(p.name)]
        weights = weights or [np.zeros(1, int)]  # a clock has no synapses into it
        bias = np.asarray(getattr(p, "bias_mant", 0))
        rows.append(
            {
                "name": p.name,
                "kind": ", ".join(type(s).__name__.lower() for s in graph.into(p.name)),
                "shape": " × ".join(map(str, p.shape)),
                "neurons": p.size,
                "weights": sum(w.size for w in weights),
                "weight_range": f"{min(int(w.min()) for w in weights)} … {max(int(w.max()) for w in weights)}",
                "threshold": getattr(p, "vth_mant", "none"),
                "bias_range": f"{int(bias.min())} … {int(bias.max())}",
                "latency": lag.get(p.name, 0),
            }
        )
    return rows


def _certificate(graph: Graph, path: Path) -> dict[str, Any]:
    certificate: Certificate | None = graph.certificate
    if certificate is None or graph.timing is None:
        raise InternalError("a pipeline's graph has no certificate or no timing")
    content = path.read_bytes()
    return {
        "samples": (len(certificate.x) - graph.latency) // graph.timing.period_steps,
        "steps": len(certificate.x),
        "counts": certificate.spike_counts,
        "digests": certificate.state_digests,
        "file": path.name,
        "file_bytes": len(content),
        "file_sha256": hashlib.sha256(content).hexdigest(),
    }
