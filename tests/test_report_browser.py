"""The page in a real browser: keys, dragging, sorting, a phone's width, and nothing that leaves the page."""

import base64
import dataclasses
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import synthetic_results as made
from tomolens.progress import silent
from tomolens.report import page as page_of
from tomolens.report import viewer, write
from tomolens.report.page import write_page
from tomolens.results.store import Store

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


SIZE = 40


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A made-up study with its page, the figures left out."""
    folder = tmp_path_factory.mktemp("reported")
    findings = made.write_study(folder, spatial=(SIZE, SIZE), kept=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "_figures", lambda *_: iter(()))
        write.write_report(findings, Store(folder), silent)
    return folder, findings


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def page(browser, reported):
    yield from opened(browser, reported, 1200)


@pytest.fixture
def phone(browser, reported):
    yield from opened(browser, reported, 390)


@pytest.fixture
def crowded(browser, reported, tmp_path, monkeypatch):
    """A page with so many cases that their maps are shown coarser than their images."""
    monkeypatch.setattr(viewer, "BUDGET", 20000)
    yield from opened(browser, rewritten(reported, tmp_path), 1200)


@pytest.fixture
def grouped(browser, reported, tmp_path, monkeypatch):
    """A page on which a reader may choose estimators, as if there were many."""
    monkeypatch.setattr(page_of, "MANY", 2)
    yield from opened(browser, rewritten(reported, tmp_path), 1200)


def rewritten(reported, folder):
    """The page of the study once more, in another folder."""
    stored, findings = reported
    write_page(findings, {}, list(Store(stored).gallery()), folder / "report.html")
    return folder, findings


def opened(browser, reported, width):
    """The page; whatever it says on the console, raises or asks for from elsewhere fails the test."""
    wrong = []
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.set_default_timeout(0)  # however slow the machine is
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    file = (reported[0] / "report.html").resolve().as_uri()
    inside = ("data:", "blob:", file)
    tab.on("request", lambda request: None if request.url.startswith(inside) else wrong.append(request.url))
    tab.goto(file)
    expect(tab.locator("#viewer .facts")).to_contain_text(re.compile("^Case 1"))
    yield tab
    tab.close()
    assert wrong == []


def pixels(tab, pane=0):
    url = tab.locator("#viewer canvas").nth(pane).evaluate("canvas => canvas.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))).reshape(-1, 4)


def choose(tab, control, value):
    tab.locator(f"[data-control={control}]").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(value)
    )


def test_keys_step_through_the_cases(page):
    count = page.locator("[data-control=case] option").count()
    assert count > 1
    first = pixels(page)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer .facts")).to_contain_text(re.compile("^Case 2"))
    assert not np.array_equal(first, pixels(page))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#viewer .facts")).to_contain_text(re.compile(f"^Case {count}"))


def test_the_cases_come_where_the_two_views_part_most_first(page):
    names = page.locator("[data-control=case] option").all_inner_texts()
    page.locator("[data-control=sort]").select_option("part")
    words = page.locator("[data-control=case] option").all_inner_texts()
    taus = [float(text.split("τ = ")[1].rstrip(")")) for text in words]
    assert taus == sorted(taus)
    assert {text.split(" ")[0] for text in words} == {text.split(" ")[0] for text in names}
    expect(page.locator("#viewer .facts")).to_contain_text(re.compile("^Case 1"))


def test_dragging_changes_window_and_level_and_a_double_click_resets(page):
    choose(page, "mode", "none")
    says, before = page.locator("[data-says=window]"), pixels(page)
    assert says.inner_text() == "window 400, level 40 HU"
    page.locator("#viewer canvas").first.scroll_into_view_if_needed()
    box = page.locator("#viewer canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - box["width"] / 4, y + box["width"] / 8, steps=4)
    page.mouse.up()
    assert says.inner_text() == "window 300, level 90 HU"
    assert pixels(page)[:, 0].mean() < before[:, 0].mean()
    page.locator("#viewer canvas").first.dblclick()
    assert says.inner_text() == "window 400, level 40 HU"
    np.testing.assert_array_equal(pixels(page), before)


def test_channels_are_chosen_by_their_windows(browser, tmp_path):
    findings = made.write_study(tmp_path, spatial=(SIZE, SIZE), window=[[-1000, 400], [-160, 240]], channels=2)
    write_page(findings, {}, list(Store(tmp_path).gallery()), tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    choose(tab, "mode", "none")
    tab.locator("[data-control=outline]").uncheck()
    channel, says = tab.locator("[data-control=channel]"), tab.locator("[data-says=window]")
    assert channel.is_visible()
    assert channel.locator("option").all_inner_texts() == ["-1000 to 400 HU", "-160 to 240 HU"]
    images = Store(tmp_path).gallery()
    images = next(iter(images)).image
    for place, words in ((0, "window 1400, level -300 HU"), (1, "window 400, level 40 HU")):
        channel.select_option(str(place))
        assert says.inner_text() == words
        shown = pixels(tab)[:, 0].reshape(-1, int(np.sqrt(len(pixels(tab)))))
        zoom = len(shown) // SIZE
        np.testing.assert_allclose(shown[::zoom, ::zoom], images[place], atol=1)
    choose(tab, "masked", made.STEPS)
    assert set(pixels(tab)[:, 0]) <= {63, 64}  # the second channel's fill is a quarter
    next(tabs, None)


def test_a_channel_alone_is_not_offered(page):
    assert not page.locator("[data-control=channel]").is_visible()


def test_every_pixel_masked_is_the_fill_and_the_decision_is_told(page):
    choose(page, "mode", "none")
    page.locator("[data-control=outline]").uncheck()
    shown = page.locator("#viewer .decision").first
    assert "(right)" in shown.inner_text() or "(wrong)" in shown.inner_text()
    choose(page, "masked", made.STEPS)
    assert page.locator("[data-says=masked]").inner_text() == "100.0 %"
    assert set(pixels(page)[:, :3].ravel()) <= {127, 128}  # the fill is a half


def test_of_three_classes_a_wrong_decision_is_not_said_to_be_one_of_them(browser, tmp_path):
    findings = made.write_study(tmp_path, classes=("healthy", "benign", "malignant"), spatial=(4, SIZE, SIZE))
    write_page(findings, {}, list(Store(tmp_path).gallery()), tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    said = set()
    for step in range(made.STEPS + 1):
        choose(tab, "masked", step)
        said |= set(tab.locator("#viewer .decision").all_inner_texts())
    assert said == {
        "The network still says healthy (right about it)",
        "The network no longer says healthy (wrong about it)",
    }
    next(tabs, None)


def test_the_numbers_of_a_case_are_printed_as_their_metrics_declare(page):
    shown = page.locator("#viewer .numbers").first.inner_text()
    pattern = r"Drop D × 10: -?\d+\.\d\d, Share inside: -?\d\.\d{3}, Touch: -?\d\.\d{3}, Twin share: -?\d\.\d{3}"
    assert re.fullmatch(pattern, shown)


def test_the_top_of_a_map_is_as_large_as_asked(page):
    choose(page, "opacity", 100)
    choose(page, "mode", "top")
    page.locator("[data-control=outline]").uncheck()
    for share in (10, 50):
        choose(page, "share", share)
        top = (pixels(page)[:, :3] == (253, 187, 22)).all(axis=1).mean()
        assert top == pytest.approx(share / 100, abs=0.001)


def test_maps_may_be_coarser_than_images(crowded):
    assert "maps at" in crowded.locator("#viewer .facts").inner_text()
    choose(crowded, "opacity", 100)
    choose(crowded, "share", 50)
    crowded.locator("[data-control=outline]").uncheck()
    drawn = {}
    for mode in ("none", "map", "regions", "top"):
        choose(crowded, "mode", mode)
        drawn[mode] = pixels(crowded)
    assert len({one.tobytes() for one in drawn.values()}) == 4
    assert (drawn["top"][:, :3] == (253, 187, 22)).all(axis=1).mean() == pytest.approx(0.5, abs=0.01)
    choose(crowded, "mode", "none")
    choose(crowded, "masked", 10**6)
    assert len(set(pixels(crowded)[:, 0])) == 1


def test_the_two_sides_show_two_maps(page):
    assert not np.array_equal(pixels(page, 0), pixels(page, 1))
    for name in ("estimator", "form"):
        left, right = (page.locator(f"[data-pane={name}]").nth(pane) for pane in (0, 1))
        right.select_option(left.input_value())
    np.testing.assert_array_equal(pixels(page, 0), pixels(page, 1))


def test_a_click_sorts_a_table(page):
    table = page.locator("table.sortable").filter(has_text="gain over the best blind baseline").first
    heading = table.locator("th button").nth(2)

    def column():
        return [float(text) for text in table.locator("tbody td:nth-child(3)").all_inner_texts()]

    heading.click()
    assert column() == sorted(column())
    assert table.locator("th").nth(2).get_attribute("aria-sort") == "ascending"
    heading.click()
    assert column() == sorted(column(), reverse=True)
    table.locator("th button").first.click()
    names = table.locator("tbody td:nth-child(1)").all_inner_texts()
    assert names == sorted(names, key=str.casefold)


def test_charts_are_drawn_with_their_legends(page):
    for chart in page.locator(".chart").all():
        assert chart.locator(".main-svg").count() > 0
        assert chart.locator(".legendtext").count() >= 4


def test_no_button_leaves_the_page(page):
    opened_elsewhere = []
    page.context.on("page", lambda tab: opened_elsewhere.append(tab.url))
    page.locator(".chart").first.scroll_into_view_if_needed()
    page.locator(".chart").first.hover()
    names = (
        page.locator(".chart").first.locator(".modebar-btn").evaluate_all("all => all.map(one => one.dataset.title)")
    )
    assert names == ["Download plot as a PNG", "Reset axes"]
    for button in page.locator(".modebar-btn").all():
        button.dispatch_event("click")
    assert page.locator(".plotly-cloud-dialog-box").count() == 0
    leaving = "a[href]:not([download]), a[href]:not([href^='data:']), form, iframe, script[src], link[href^=http]"
    assert page.locator(leaving).count() == 0
    with page.expect_download() as saved:  # a checklist, out of the page itself
        page.locator("details:has(a[download='claim.md']) summary").click()
        page.locator("a[download='claim.md']").click()
    assert "| 44 |" in Path(saved.value.path()).read_text()
    assert opened_elsewhere == []


def test_the_viewer_says_that_its_order_is_not_quite_the_networks(page):
    note = page.locator("#viewer .note", has_text="Masked here approximately")
    assert "ties at random" in note.inner_text()


def test_regions_without_a_mask_are_told(browser, reported, tmp_path):
    folder, findings = reported
    cases = [dataclasses.replace(case, mask=None, regions={}) for case in Store(folder).gallery()]
    write_page(findings, {}, [*cases[:1], *Store(folder).gallery()], tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    choose(tab, "mode", "regions")
    said = tab.locator("[data-says=regions]")
    assert said.inner_text() == "no regions: this case has no mask"
    assert tab.locator("[data-control=share]").is_disabled()
    assert tab.locator("[data-control=outline]").is_disabled()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#viewer .facts")).to_contain_text(re.compile("^Case 2"))
    assert said.inner_text() == ""
    assert tab.locator("[data-control=share]").is_enabled()
    next(tabs, None)


def test_a_phone_shows_all_of_it(phone):
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    panes = phone.locator(".pane")
    first, second = (panes.nth(pane).bounding_box() for pane in (0, 1))
    assert second["y"] >= first["y"] + first["height"]
    assert first["width"] > 330


def shown(tab):
    """The estimators in the first table, in the viewer's menu, and in the first chart."""
    rows = tab.locator("table.sortable tbody tr:visible td:first-child").all_inner_texts()
    menu = tab.locator("[data-pane=estimator]").first.locator("option:not([hidden])").all_inner_texts()
    lines = tab.evaluate(
        "document.querySelector('.chart').data.filter((one) => one.visible === true).map((one) => one.legendgroup)"
    )
    return {text.split(" (")[0] for text in rows}, set(menu), {text.split(" (")[0] for text in lines if text}


def test_estimators_are_chosen_by_group_and_name(grouped):
    everything = shown(grouped)
    assert {"Slope", "Steep slope", "Positive", "Noise"} <= everything[0] & everything[1]
    grouped.locator("#filter select").select_option(label="slopes (2)")
    rows, menu, lines = shown(grouped)
    assert menu == lines == {"Slope", "Steep slope"}
    assert not {"Positive", "Noise"} & rows
    assert {"Slope", "Steep slope"} <= rows
    expect(grouped.locator("[data-says=shown]")).to_have_text("2 of 4 estimators")
    grouped.locator("#filter input").fill("STEEP")
    assert shown(grouped)[1:] == ({"Steep slope"}, {"Steep slope"})
    grouped.locator("#filter button").click()
    expect(grouped.locator("[data-says=shown]")).to_have_text("")
    assert shown(grouped) == everything


def test_few_estimators_need_no_choice(page):
    assert page.locator("#filter").count() == 0
