"""The page in a headless browser: what it draws, what keys do, that it fits a narrow screen and logs no error."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pumice.reporting.page import as_page

from .conftest import NAME, findings_of

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")]

DRIVER = (Path(__file__).parent / "driver.js").read_text(encoding="utf-8")


def with_driver(page):
    """The page and a script that uses it; its policy lets this one script run, too."""
    digest = base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src &#x27;sha256-{digest}&#x27; ", 1)
    return page.replace("</body>", f"<script>{DRIVER}</script></body>")


def opened(page, folder):
    """What the driver saw, and what the browser logged."""
    (folder / "page.html").write_text(with_driver(page), encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=400,900",
        f"--user-data-dir={folder / 'profile'}", "--dump-dom", (folder / "page.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    (found,) = re.findall(r'<pre id="seen">([\w+/=]*)</pre>', done.stdout)
    return json.loads(base64.b64decode(found)), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def seen(image_findings, events_findings, tmp_path_factory):
    found, logged = opened(as_page(image_findings, events_findings), tmp_path_factory.mktemp("browser"))
    return {**found, "logged": logged}


@pytest.fixture(scope="module")
def events_findings():
    """A sensor of 3 by 2 pixels and two polarities: on at (0, 0), off at (2, 1), both at (1, 0)."""
    from pumice import ir

    frame = np.zeros((3, 2, 2), int)
    frame[0, 0, 1] = frame[2, 1, 0] = frame[1, 0, 0] = frame[1, 0, 1] = 1
    graph = ir.Graph(
        ir.Input("input", (3, 2, 2), value_range=(0, 1)),
        (ir.Cuba("out", (2,), vth_mant=9),),
        (ir.Dense("input", "out", weight=np.full((2, 12), 4)),),
        ("out",),
        timing=ir.Timing(4, 4),
        info={"name": "events"},
    )
    return findings_of(graph, [(np.repeat(frame[None], 4, axis=0), 0)])


def test_nothing_is_logged_refused_or_run_from_a_name(seen):
    assert seen["logged"] == seen["errors"] == []
    assert "taken" not in seen["title"].partition("<")[0]
    assert seen["layers"] == [["eyes", NAME, "output"], ["input", "out"]]
    assert len(seen["samples"]) == 2


def test_an_image_is_drawn_as_it_is(seen):
    """x to the right, y down; the value 0 is black, the largest of the range white."""
    expected = [255 * value / 15 for value in np.arange(12).reshape(4, 3).T.reshape(-1)]
    assert seen["size"] == [4, 3]
    assert np.allclose(seen["image"], expected, atol=1)
    assert np.allclose(seen["second"], [255 * 11 / 15 - v for v in expected], atol=1)


def test_events_have_the_colors_of_their_polarity(seen):
    ground, on, off = seen["colors"]
    both = [round((a + b) / 2) for a, b in zip(on, off, strict=True)]
    expected = [on, both, ground, ground, ground, off]
    assert np.allclose(seen["events"], expected, atol=1)


def test_a_click_and_keys_choose_neurons_and_steps(seen, image_findings):
    spikes = image_findings.shown[1].spikes["output"]
    v = image_findings.shown[1].states["output"]["v"]
    assert seen["pixel"] == "pixel x 2, y 1, channel 0: value 4 in step 1"
    assert seen["focused"]
    assert seen["neuron"].startswith(f"neuron 1 ({image_findings.source.classes[1]}): ")
    fires = [str(step + 1) for step in np.flatnonzero(spikes[:, 1])]
    assert (f"fires in step {', '.join(fires)}" if fires else "never fires here") in seen["neuron"]
    assert f"; v {v[0, 1]:,}" in seen["neuron"]
    assert (seen["moved"], seen["slid"], seen["other"]) == ("2 of 6", "5 of 6", "1 of 4")
    assert spikes[4].sum() == 1
    assert f"3, 1 spike in step 5, {int(spikes.sum())} in the sample" == seen["counts"]
    assert seen["traced"] == 2
    assert seen["clicked"][0] == "4 of 6"
    assert f"; v {v[3, 1]:,}" in seen["clicked"][1]
    assert seen["left"] == ""


def test_it_fits_400_pixels_and_can_be_used_without_a_mouse(seen):
    assert seen["wide"][0] <= seen["wide"][1] <= 500
    assert seen["controls"]
    assert seen["nameless"] == []


@pytest.mark.slow
def test_planted_defects_are_seen(image_findings, events_findings, tmp_path):
    """Axes that are swapped, and an error in the script."""
    page = as_page(image_findings, events_findings)
    digest = re.findall(r"sha256-([^&]+)&", page)[0]
    for before, after in (
        ("i = y * w + x;", "i = x * h + y;"),
        ("this.load(0);", "this.load(0); queueMicrotask(() => nothing());"),
    ):
        script = re.findall(r"<script>(.*)</script></body>", page, flags=re.DOTALL)[0]
        broken = script.replace(before, after, 1)
        assert broken != script
        changed = page.replace(script, broken)
        changed = changed.replace(digest, base64.b64encode(hashlib.sha256(broken.encode()).digest()).decode())
        folder = tmp_path / str(len(broken))
        folder.mkdir()
        found, logged = opened(changed, folder)
        expected = [255 * value / 15 for value in np.arange(12).reshape(4, 3).T.reshape(-1)]
        assert logged or not np.allclose(found["image"], expected, atol=1)
