"""The page of a scan: what it shows is the scan, it asks nothing of any other place, and a browser can use it."""

import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from test_export_explain_scan import IMAGE, network, windowed, write_oriented
from test_report_browser import BROWSER
from test_report_browser import browser as browser
from tomolens.export.explain_scan import explain_scan
from tomolens.export.page import MOST, page


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write_oriented(folder / "scan <b>.nii.gz", "LIP")
    explained = explain_scan(folder / "scan <b>.nii.gz", network(), [IMAGE, "backpropagation"], slices="1-4")
    maps = [replace(one, trust="NOT TO BE BELIEVED by study “<i>”") for one in explained.maps.values()]
    text = page("scan <b>.nii.gz", network(), explained, maps)
    (folder / "maps.html").write_text(text, encoding="utf-8")
    return folder / "maps.html", text, explained


def content(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL).group(1))


def unpacked(text, kind, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind).reshape(shape)


def test_what_it_holds_is_the_scan(made):
    _, text, explained = made
    held = content(text)
    shape = (4, *held["shape"])
    upright = explained.grid.turn_upright(explained.hu)[1:5]
    np.testing.assert_array_equal(unpacked(held["hu"], "<i2", shape), upright)
    scores = unpacked(held["maps"][0]["scores"], np.int8, shape) / 127 * held["maps"][0]["largest"]
    expected = np.minimum(windowed(upright), held["maps"][0]["largest"])
    np.testing.assert_allclose(scores, expected, atol=0.51 / 127)
    assert held["slices"] == [1, 2, 3, 4]
    np.testing.assert_allclose(held["probabilities"], explained.probabilities)
    assert held["classes"] == ["without", "with"]
    assert held["windows"][0] == ["network's", -1000.0, 400.0]


def test_nothing_of_a_name_is_obeyed(made):
    _, text, _ = made
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;" in text
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=.https?:", text)


def test_of_many_slices_every_so_many_is_shown(tmp_path):
    write_oriented(tmp_path / "scan.nii.gz", "RAS")
    explained = explain_scan(tmp_path / "scan.nii.gz", network(), [IMAGE])
    many = replace(explained, slices=tuple(range(6)) * 50, probabilities=np.tile(explained.probabilities, (50, 1)))
    held = content(page("scan", network(), many, list(many.maps.values())))
    assert len(held["slices"]) <= MOST
    assert len(held["probabilities"]) == len(held["slices"])


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_scrolls_reads_and_hides(made, browser):
    file, _, explained = made
    asked, said = [], []
    shown = browser.new_page(viewport={"width": 390, "height": 800})
    shown.on("request", lambda request: asked.append(request.url))
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(file.as_uri())
    shown.wait_for_selector("body[data-ready]")
    assert shown.locator("#trust").inner_text().startswith("The image: NOT TO BE BELIEVED")
    shown.locator("#at").fill("0")
    canvas = shown.locator("#slice")
    canvas.focus()
    shown.keyboard.press("ArrowUp")
    assert shown.locator("#place").inner_text() == "2 (2 of 4)"
    box = canvas.bounding_box()
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    row, column, hu = map(int, re.findall(r"-?\d+", shown.locator("#readout").inner_text())[:3])
    assert hu == explained.grid.turn_upright(explained.hu)[2][row, column]
    before = shown.evaluate("document.getElementById('slice').toDataURL()")
    shown.locator("#map").select_option(label="none")
    assert shown.evaluate("document.getElementById('slice').toDataURL()") != before
    assert "score" not in shown.locator("#readout").inner_text() or shown.locator("#trust").inner_text().startswith(
        "No map"
    )
    shown.get_by_role("button", name="bone").click()
    assert shown.locator("#wide").inner_text() == "1500"
    for width, level in (("4095", "1023.5"), ("1", "-1900")):  # all that a scanner can write
        shown.locator("#width").fill(width)
        shown.locator("#level").fill(level)
        assert shown.locator("#width").input_value() == width
        assert shown.locator("#level").input_value() == level
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert asked == [file.as_uri()]
    assert said == []
    shown.close()
