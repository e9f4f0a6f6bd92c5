import base64

import numpy as np
import pytest

from pumice import ir
from pumice.ir import flatten_whc
from pumice.reporting import viewer
from pumice.reporting.viewer import packed, viewer_data

from .conftest import findings_of


def unpacked(text, kind, n):
    raw = base64.b64decode(text)
    if kind == "bits":
        return np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[:n]
    return np.frombuffer(raw, f"<{kind}")


def test_what_is_packed_is_what_ran(image_findings):
    data = viewer_data(image_findings)
    assert (data["steps"], data["allSteps"], data["hidden"]) == (6, 6, 0)
    for layer in data["layers"]:
        for sample, text in zip(image_findings.shown, layer["data"], strict=True):
            expected = np.stack([flatten_whc(step) for step in sample.spikes[layer["name"]]])
            np.testing.assert_array_equal(unpacked(text, layer["kind"], expected.size), expected.reshape(-1))
    hidden = data["layers"][1]
    v = np.stack([flatten_whc(step) for step in image_findings.shown[1].states[hidden["name"]]["v"]])
    trace = hidden["states"]["v"]
    np.testing.assert_array_equal(unpacked(trace["data"][1], trace["kind"], v.size), v.reshape(-1))
    assert hidden["threshold"] == 40 << 6
    assert [layer["kind"] for layer in data["layers"]] == ["i1", "bits", "bits"]
    assert [layer["sendsValues"] for layer in data["layers"]] == [True, False, False]


def test_values_are_values_where_all_are_0_or_1():
    """A layer that sends values is packed as spikes while it sends nothing else."""
    graph = ir.Graph(
        ir.Input("input", (2,), value_range=(0, 1)),
        (ir.Delta("a", (2,), vth=1 << 20),),
        (ir.Direct("input", "a", graded=True),),
        ("a",),
    )
    _, layer = viewer_data(findings_of(graph))["layers"]
    assert (layer["kind"], layer["sendsValues"]) == ("bits", True)


@pytest.mark.parametrize(
    ("values", "kind"), [([-129, 2], "i2"), ([1 << 20], "i4"), ([-128, 127], "i1"), ([0, 1], "bits")]
)
def test_each_value_survives_its_kind(values, kind):
    assert viewer._kind([np.array(values)]) == kind
    assert unpacked(packed(np.array(values), kind), kind, len(values)).tolist() == values


def test_long_wide_and_many_samples_are_cut_to_the_budget(monkeypatch):
    """Sixteen times the neurons and sixteen times the steps do not make a larger page."""
    monkeypatch.setattr(viewer, "SPIKE_BYTES", 4000)
    monkeypatch.setattr(viewer, "STATE_BYTES", 4000)
    sizes = []
    for n, steps in ((50, 40), (800, 640)):
        graph = ir.Graph(
            ir.Input("input", (n,)),
            (ir.Cuba("out", (n,), vth_mant=9),),
            (ir.OneToOne("input", "out", weight=np.full(n, 2)),),
            ("out",),
            timing=ir.Timing(steps, steps),
        )
        data = viewer_data(findings_of(graph, [(np.ones((steps, n), int), 0)] * 3))
        spikes = sum(len(text) for layer in data["layers"] for text in layer["data"])
        states = sum(len(t) for layer in data["layers"] for s in layer["states"].values() for t in s["data"])
        assert data["steps"] >= 1
        sizes.append((spikes, states))
    assert all(spikes <= 1.4 * 4000 + 16 and states <= 1.4 * 4000 + 16 for spikes, states in sizes)


def test_a_large_image_shows_its_first_channels():
    assert viewer.shown_shape((128, 128, 9)) == (128, 128, 1)
    values = np.arange(2 * 3 * 2 * 4).reshape(2, 3, 2, 4)
    cut = viewer._cut(values, (3, 2, 1), 1)
    np.testing.assert_array_equal(cut[0], flatten_whc(values[0, ..., :1]))
