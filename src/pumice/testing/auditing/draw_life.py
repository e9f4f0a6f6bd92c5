"""What happens to a network before it is lowered: training, quantizing, copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pumice.testing.auditing.case import Part, Step
from pumice.testing.auditing.chance import whole
from pumice.testing.values import Rng, one_in, pick


def draw_life(rng: Rng, parts: Sequence[Part]) -> tuple[Step, ...]:
    """Construction, training, quantizing, fine-tuning, with copies between.

    Args:
        rng: Source of randomness.
        parts: Of the network.
    """
    return _possible(_life(rng), parts)


def _life(rng: Rng) -> list[Step]:
    steps: list[Step] = []
    if one_in(rng, 8):
        steps.append(_inference(rng))
    if one_in(rng, 3):
        steps.append(Step("weights", {"by": pick(rng, [0.1, 2.0, 4.0, 16.0, 1000.0])}))
    if one_in(rng, 3):
        steps.append(Step("delays", {"to": pick(rng, [1.0, 4.0, 4.0, 10.0, 62.0, 70.0])}))
    if one_in(rng, 25):
        steps.append(Step("gradient", {"kind": pick(rng, ["stbp", "stbp-detached", "slayer"])}))
    if rng.integers(4):
        steps.append(Step("statistics", {"batches": whole(rng, 1, 3)} | _other_batch(rng)))
    if one_in(rng, 3):
        norms: dict[str, Any] = {"scale": pick(rng, [0.5, 1.0, 3.0, 30.0]), "shift": pick(rng, [0.1, 0.3, 2.0, 60.0])}
        steps.append(Step("norms", norms | ({"zero": 0.3} if one_in(rng, 3) else {})))
    if one_in(rng, 3):
        steps.append(_train(rng))
    steps += _copies(rng)
    if one_in(rng, 3):
        steps.append(Step("deploy"))
        if rng.integers(3):
            steps.append(_train(rng))
        steps += _copies(rng)
    if one_in(rng, 10):
        steps.append(Step("training mode"))
    if one_in(rng, 20):
        steps.append(Step("frozen"))
    return steps


def _possible(life: list[Step], parts: Sequence[Part]) -> tuple[Step, ...]:
    """Without a pass in inference mode where lava-dl would keep what it makes in it: that cannot be trained."""
    of_lava_dl = [part for part in parts if part.options.get("library") == "lava-dl"]
    keeps = any(
        part.kind == "recurrent"
        or part.options.get("delay", False)
        or not part.options["params"].get("shared_param", True)
        for part in of_lava_dl
    )
    return tuple(step for step in life if not keeps or step.kind != "inference")


def _copies(rng: Rng) -> list[Step]:
    kinds = ["reload", "reload", "deepcopy", "pickle", "save"]
    return [Step(pick(rng, kinds))] if one_in(rng, 3) else []


def _train(rng: Rng) -> Step:
    return Step("train", {"steps": whole(rng, 1, 3), "lr": pick(rng, [0.001, 0.01, 0.1, 1.0])} | _other_batch(rng))


def _inference(rng: Rng) -> Step:
    return Step("inference", _other_batch(rng))


def _other_batch(rng: Rng) -> dict[str, Any]:
    return {"batch": pick(rng, [1, 3, 5, 17])} if one_in(rng, 2) else {}
