"""What a notebook shows: maps, findings, and a map over its image."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

import synthetic_results as made
import tomolens as tl
from conftest import convolutional
from tomolens.errors import MapError
from tomolens.estimators.maps import MOST, Maps, picture


def shown(html):
    """The pictures in some HTML."""
    found = re.findall(r"data:image/png;base64,([^\"]+)", html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 4, 16, 16)])
def test_maps_show_themselves_and_are_a_dict(shape):
    maps = Maps({"<b>": torch.zeros(MOST + 2, *shape), "two": np.ones((MOST + 2, *shape))})
    html = maps._repr_html_()
    assert len(shown(html)) == 2 * MOST
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert f"the first {MOST} of {MOST + 2} images" in html
    assert isinstance(maps, dict)
    assert Maps({})._repr_html_().startswith("<table></table>")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_said_and_not_drawn(value):
    stack = np.ones((2, 1, 4, 4))
    stack[1, 0, 2, 2] = value
    html = Maps({"one": stack, "two": torch.from_numpy(stack)})._repr_html_()
    assert len(shown(html)) == 2
    assert html.count("1 of 16 values are NaN or infinite: no picture") == 2


def test_what_is_explained_shows_itself():
    images = torch.rand(2, 1, 16, 16)
    found = tl.explain(tl.Classifier(convolutional()), images, ["backpropagation"], seed=0)
    assert len(shown(found._repr_html_())) == 2
    arrays = tl.explain(tl.Classifier(convolutional()), images.numpy(), "backpropagation", seed=0)
    assert isinstance(arrays["backpropagation"], np.ndarray)


def test_a_picture_is_white_at_zero_and_tells_the_signs():
    plane = np.zeros((1, 4, 4))
    plane[0, 0, 0], plane[0, 3, 3] = 2.0, -2.0
    pixels = np.asarray(Image.open(io.BytesIO(picture(plane))))
    assert pixels[0, 0].tolist() == [213, 94, 0]
    assert pixels[-1, -1].tolist() == [0, 90, 181]
    assert pixels[0, -1].tolist() == [255, 255, 255]


def test_findings_show_their_verdict(tmp_path):
    estimators = (made.described("slope", "<i>Slope</i>"), *made.ESTIMATORS[1:])
    findings = made.write_study(tmp_path, estimators=estimators)
    html = findings._repr_html_()
    assert str(findings.verdict.sentence) in re.sub(
        r"&(amp|lt|gt|quot|#x27);",
        lambda one: {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "#x27": "'"}[one.group(1)],
        html,
    )
    assert "<i>" not in html
    assert html.count("<tr>") == 1 + len(findings.verdict.cards)
    assert "✓ passed" in html


def test_a_map_over_its_image():
    random = np.random.default_rng(0)
    image, values = random.random((1, 12, 14)), random.normal(size=(1, 12, 14))
    figure = tl.show(image, values, np.ones((12, 14), bool), title="a")
    grey, over = figure.axes[0].get_images()
    np.testing.assert_array_equal(grey.get_array(), image[0])
    np.testing.assert_array_equal(over.get_array(), values[0])
    assert over.get_clim()[0] == -over.get_clim()[1]
    assert figure.axes[0].get_title() == "a"
    colours = over.cmap(np.array([0.0, 0.5, 1.0]))
    assert colours[1, 3] == pytest.approx(0.0, abs=0.01)
    assert colours[0, :3].mean() < colours[2, :3].mean()
    volume = tl.show(torch.rand(2, 5, 12, 14), torch.rand(5, 12, 14))
    assert volume.axes[0].get_images()[1].get_clim()[0] == 0


@pytest.mark.parametrize(
    ("image", "values", "mask", "message"),
    [
        ((1, 4, 4), (1, 5, 4), None, "a map of"),
        ((2, 1, 4, 4), (2, 1, 4, 5), None, "images\\[0\\]"),
        ((1, 4, 4), (4, 4), (3, 4), "a mask of"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(image, values, mask, message):
    with pytest.raises(MapError, match=message):
        tl.show(np.zeros(image), np.zeros(values), None if mask is None else np.zeros(mask, bool))
    with pytest.raises(MapError, match="not finite"):
        tl.show(np.zeros((1, 4, 4)), np.full((4, 4), np.nan))
