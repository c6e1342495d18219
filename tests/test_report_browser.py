"""The page in a real browser: keys, dragging, sorting, a phone's width, and nothing that leaves the page."""

import base64
import csv
import dataclasses
import io
import json
import re
import shutil
import time
from itertools import product
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
from tomolens.report.viewer import as_text
from tomolens.results.store import Store

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


SIZE = 40
KEPT = ("slope", "steep-slope", "positive")


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
    monkeypatch.setattr(viewer, "BUDGET", 30000)
    yield from opened(browser, rewritten(reported, tmp_path), 1200)


@pytest.fixture
def grouped(browser, reported, tmp_path, monkeypatch):
    """A page on which a reader may choose estimators, as if there were many."""
    monkeypatch.setattr(page_of, "MANY", 2)
    yield from opened(browser, rewritten(reported, tmp_path), 1200)


def rewritten(reported, folder):
    """The page of the study once more, in another folder."""
    stored, findings = reported
    write_page(findings, list(Store(stored).gallery()), folder / "report.html")
    return folder, findings


def opened(browser, reported, width, address="", **how):
    """The page; whatever it says on the console, raises or asks for from elsewhere fails the test."""
    wrong = []
    tab = browser.new_page(viewport={"width": width, "height": 900}, **how)
    tab.set_default_timeout(0)  # however slow the machine is
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    file = (reported[0] / "report.html").resolve().as_uri()
    inside = ("data:", "blob:", file)
    tab.on("request", lambda request: None if request.url.startswith(inside) else wrong.append(request.url))
    tab.goto(f"{file}{address}")
    tab.wait_for_selector("body[data-ready]")
    yield tab
    tab.close()
    assert wrong == []


def pixels(tab, pane=0):
    url = tab.locator(".pane canvas").nth(pane).evaluate("canvas => canvas.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))).reshape(-1, 4)


def choose(tab, control, value):
    tab.locator(f"[data-control={control}]").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(value)
    )


def at_case(tab, number):
    expect(tab.locator("#viewer .facts")).to_contain_text(re.compile(f"^Case {number} of "))


def test_keys_step_through_the_cases_inside_the_viewer_alone(page):
    count = page.locator("[data-control=case] option").count()
    assert count > 1
    page.locator("[data-control=case]").select_option("0")
    at_case(page, 1)
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    at_case(page, 1)
    first = pixels(page)
    page.locator(".pane canvas").first.focus()
    page.keyboard.press("ArrowRight")
    at_case(page, 2)
    assert not np.array_equal(first, pixels(page))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    at_case(page, count)
    before = page.locator("[data-pane=map]").first.input_value()
    page.keyboard.press("ArrowDown")
    assert page.locator("[data-pane=map]").first.input_value() != before
    with_overlay = pixels(page)
    page.keyboard.press("f")
    assert not np.array_equal(with_overlay, pixels(page))
    page.keyboard.press("f")
    np.testing.assert_array_equal(with_overlay, pixels(page))


def test_the_cases_come_where_the_two_views_part_most_first(page):
    names = page.locator("[data-control=case] option").all_inner_texts()
    page.locator("[data-control=sort]").select_option("part")
    words = page.locator("[data-control=case] option").all_inner_texts()
    taus = [float(text.split("τ = ")[1].rstrip(")")) for text in words]
    assert taus == sorted(taus)
    assert {text.split(" ")[0] for text in words} == {text.split(" ")[0] for text in names}
    at_case(page, 1)


def test_the_filmstrip_shows_some_cases(page, reported):
    cases = list(Store(reported[0]).gallery())
    cells, show, of = page.locator(".film .cell"), page.locator("[data-film=show]"), page.locator("[data-film=class]")
    assert cells.count() == len(cases)
    of.select_option(label="with")
    assert cells.count() == sum(case.label == 1 for case in cases)
    of.select_option("")
    show.select_option("wrong")
    wrong = [case.name for case in cases if case.predicted != case.label]
    assert page.locator(".film .cell .name").all_inner_texts() == wrong
    show.select_option(label="best, median and worst by Drop D × 10")
    best = [
        max(case.numbers[key]["drop"] for key in case.numbers if key[0] in ("slope", "steep-slope", "positive"))
        for case in cases
    ]
    ranked = [cases[at].name for at in np.argsort(-np.array(best), kind="stable")]
    expected = [ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1]]
    assert page.locator(".film .cell .name").all_inner_texts() == expected
    assert [text.split(", ")[1] for text in page.locator(".film small").all_inner_texts()] == [
        "best",
        "median",
        "worst",
    ]
    cells.nth(2).click()
    expect(page.locator("#viewer .facts")).to_contain_text(f"Case 3 of 3, {ranked[-1]}")


def test_a_case_stands_among_the_others(page, reported):
    cases = list(Store(reported[0]).gallery())
    page.locator("[data-pane=map]").first.select_option("slope/original")
    page.locator(".among select").select_option(label="Share inside")
    numbers = {case.name: case.numbers["slope", "original"].get("share_inside") for case in cases}
    known = {name: value for name, value in numbers.items() if value is not None}
    name = re.search(r", (case-\d+):", page.locator("#viewer .facts").inner_text()).group(1)
    better = sum(value > known[name] for value in known.values())
    said = page.locator("[data-says=among]")
    expect(said).to_contain_text(
        f"Slope (original), Share inside: {known[name]:.3f} in this case, better in {better} others"
    )
    assert page.locator(".case-dot").count() == len(known)
    places = page.locator(".case-dot").evaluate_all(
        "all => all.map((one) => [one.textContent, parseFloat(one.getAttribute('cx'))])"
    )
    ordered = [text.split(": ")[0] for text, _ in sorted(places, key=lambda one: one[1])]
    assert ordered == sorted(known, key=lambda one: known[one])
    other = next(one for one in ordered if one != name)
    page.locator(".dots").scroll_into_view_if_needed()
    box = page.locator(".case-dot", has_text=other).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#viewer .facts")).to_contain_text(other)
    expect(page.locator(".case-dot.here")).to_have_text(f"{other}: {known[other]:.3f}")
    wrong = sum(case.predicted != case.label for case in cases)
    assert page.locator(".case-dot.wrong").count() == wrong


def test_an_address_opens_a_case_and_a_map(browser, reported):
    name = list(Store(reported[0]).gallery())[3].name
    tabs = opened(browser, reported, 1200, f"#case={name}&map=positive/original")
    tab = next(tabs)
    expect(tab.locator("#viewer .facts")).to_contain_text(name)
    assert tab.locator("[data-pane=map]").first.input_value() == "positive/original"
    tab.locator(".film .cell").first.click()
    at_case(tab, 1)
    assert tab.evaluate("location.hash").startswith("#case=case-")
    assert name not in tab.evaluate("location.hash")
    next(tabs, None)


def test_dragging_changes_window_and_level_and_a_double_click_resets(page):
    choose(page, "mode", "none")
    says, before = page.locator("[data-says=window]"), pixels(page)
    assert says.inner_text() == "window 400, level 40 HU"
    page.locator(".pane .frame").first.scroll_into_view_if_needed()
    box = page.locator(".pane .frame").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - box["width"] / 4, y + box["width"] / 8, steps=4)
    page.mouse.up()
    width, level = map(int, re.findall(r"\d+", says.inner_text()))
    assert (width, level) == pytest.approx((300, 90), abs=1)
    assert pixels(page)[:, 0].mean() < before[:, 0].mean()
    page.locator(".pane .frame").first.dblclick()
    assert says.inner_text() == "window 400, level 40 HU"
    np.testing.assert_array_equal(pixels(page), before)
    page.get_by_role("button", name="liver").click()
    assert says.inner_text() == "window 150, level 30 HU"
    assert page.get_by_role("button", name="bone").count() == 0  # the study cut it off


def test_the_pointer_reads_all_pictures(page, reported):
    page.locator("[data-control=case]").select_option("0")
    at_case(page, 1)
    case = next(iter(Store(reported[0]).gallery()))
    page.locator(".pane .frame").first.scroll_into_view_if_needed()
    box = page.locator(".pane .frame").first.bounding_box()
    assert box["height"] == pytest.approx(2 * box["width"], rel=0.02)  # pixels are twice as high as wide
    page.mouse.move(box["x"] + box["width"] * 10.5 / SIZE, box["y"] + box["height"] * 20.5 / SIZE)
    said = page.locator(".pane .readout").all_inner_texts()[:2]
    hu = round(-160 + 400 * int(case.image[0, 20, 10]) / 255)
    assert all(text.startswith(f"row 20, column 10: {hu} HU; score ") for text in said)
    assert page.locator(".pane .hair.across:visible").count() == 2
    assert [page.locator(f".pane .{side}").first.inner_text() for side in ("west", "east", "north", "south")] == list(
        "RLAP"
    )
    assert "mm" in page.locator(".scale-bar").first.inner_text()


def test_pictures_are_enlarged_together_and_moved(page):
    frames = page.locator(".pane canvas")
    page.get_by_role("button", name="larger").click()
    assert len({frames.nth(at).evaluate("one => one.style.transform") for at in (0, 1)}) == 1
    assert "scale(1.25)" in frames.first.evaluate("one => one.style.transform")
    page.locator("[data-control=tool]").select_option("move")
    page.locator(".pane .frame").first.scroll_into_view_if_needed()
    box = page.locator(".pane .frame").first.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 50 + 0.05 * box["width"], box["y"] + 50, steps=3)
    page.mouse.up()
    moved = float(re.search(r"translate\(([-\d.]+)%", frames.first.evaluate("one => one.style.transform")).group(1))
    assert moved == pytest.approx(5, abs=0.5)
    page.get_by_role("button", name="whole picture").click()
    assert "translate(0%, 0%) scale(1)" in frames.first.evaluate("one => one.style.transform")
    page.locator("[data-control=count]").select_option("4")
    assert page.locator(".pane:visible").count() == 4


def test_channels_are_chosen_by_their_windows(browser, tmp_path):
    findings = made.write_study(tmp_path, spatial=(SIZE, SIZE), window=[[-1000, 400], [-160, 240]], channels=2)
    write_page(findings, list(Store(tmp_path).gallery()), tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    choose(tab, "mode", "none")
    tab.locator("[data-control=outline]").uncheck()
    channel, says = tab.locator("[data-control=channel]"), tab.locator("[data-says=window]")
    tab.locator("[data-control=case]").select_option("0")
    at_case(tab, 1)
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
    write_page(findings, list(Store(tmp_path).gallery()), tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    said = set()
    for step in range(made.STEPS + 1):
        choose(tab, "masked", step)
        said |= set(tab.locator(".pane:visible .decision").all_inner_texts())
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
    left, right = (page.locator("[data-pane=map]").nth(pane) for pane in (0, 1))
    right.select_option(left.input_value())
    np.testing.assert_array_equal(pixels(page, 0), pixels(page, 1))


def test_zero_of_a_signed_map_shows_the_image(page, reported):
    choose(page, "opacity", 100)
    page.locator("[data-control=outline]").uncheck()
    page.locator("[data-pane=map]").first.select_option("slope/original")
    over = pixels(page).astype(float)
    choose(page, "mode", "none")
    bare = pixels(page).astype(float)
    index = int(page.locator("#viewer .facts").inner_text().split(" ")[1]) - 1
    ranks = list(Store(reported[0]).gallery())[index].maps["slope", "original"]
    zoom = int(np.sqrt(len(over))) // SIZE
    small = np.abs(np.repeat(np.repeat(ranks, zoom, 0), zoom, 1).ravel().astype(int)) <= 1
    change = (over - bare)[:, :3]
    assert np.abs(change[small]).max() < 60  # of eight levels the least is an eighth of the pixels
    assert np.abs(change).max() > 120
    positive = np.repeat(np.repeat(ranks > 100, zoom, 0), zoom, 1).ravel()
    negative = np.repeat(np.repeat(ranks < -100, zoom, 0), zoom, 1).ravel()
    light = over[:, :3] @ [0.299, 0.587, 0.114]
    assert light[positive].min() > light[negative].max()  # told apart in greyscale too


def test_a_table_sorts_with_the_best_first_and_back(page):
    table = page.locator("table.sortable").filter(has_text="gain over the best blind baseline").first
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    heading, says = table.locator("th button").nth(2), page.locator("#view-drop [data-says=sorted]")

    def column():
        return [float(text) for text in table.locator("tbody td:nth-child(3)").all_inner_texts()]

    study = column()
    table.locator("tbody").evaluate("body => body.append(...[...body.rows].reverse())")
    heading.click()
    assert column() == sorted(column(), reverse=True)
    assert table.locator("th").nth(2).get_attribute("aria-sort") == "descending"
    expect(says).to_have_text("sorted by Drop D × 10, largest first")
    heading.click()
    assert column() == sorted(column())
    heading.click()  # the third brings the study's order back
    assert column() == study
    assert table.locator("th[aria-sort]").count() == 0
    expect(says).to_have_text("in the study’s order again")
    table.locator("th button").first.click()
    names = table.locator("tbody td:nth-child(1)").all_inner_texts()
    assert names == sorted(names, key=str.casefold)
    table.locator("th button", has_text="95 % CI").click()
    expect(says).to_have_text("sorted by 95 % CI, by the lower end, largest first")
    lows = [float(text.split(" to ")[0]) for text in table.locator("tbody td:nth-child(4)").all_inner_texts()]
    assert lows == sorted(lows, reverse=True)


def test_many_rows_are_searched(page):
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    table = page.locator("#strata table")
    texts = [text.lower() for text in table.locator("tbody tr").all_inner_texts()]
    page.locator("#strata input[type=search]").fill("with SLOPE touch")
    shown = table.locator("tbody tr:visible").all_inner_texts()
    assert 0 < len(shown) < len(texts)
    assert len(shown) == sum(all(word in text for word in ("with", "slope", "touch")) for text in texts)
    words = f"{len(shown)} of {len(texts)} rows shown"
    expect(page.locator("#strata .tools [data-says=rows]")).to_have_text(words)
    expect(page.locator("#strata summary")).to_have_text(f"The numbers as a table: {len(texts)} rows, {words}")
    with page.expect_download() as saved:
        page.locator("#strata [data-table=csv]").click()
    assert len(Path(saved.value.path()).read_text(encoding="utf-8").splitlines()) == len(shown) + 1
    page.locator("#strata input[type=search]").fill("")
    assert table.locator("tbody tr:visible").count() == len(texts)
    assert page.locator("#view-drop input[type=search]").count() == 0  # few rows need none


def test_where_lower_is_better_the_lowest_comes_first(page):
    way = "([better, texts]) => wayOf({ dataset: { better } }, texts.map((textContent) => ({ textContent })))"
    assert page.evaluate(way, ["low", ["1", "2"]])["first"] == "ascending"
    assert page.evaluate(way, ["", ["1", "2"]])["first"] == "descending"
    assert page.evaluate(way, ["low", ["1 to 2", "3 to 4"]])["words"][0] == "by the lower end, smallest first"
    assert page.evaluate(way, ["", ["1 (0 to 2)", "–"]])["words"][0] == "largest first"


def test_a_table_is_saved_and_copied(browser, reported):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.goto((reported[0] / "report.html").resolve().as_uri())
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    with tab.expect_download() as saved:
        tab.locator("#view-drop [data-table=csv]").click()
    lines = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
    rows = tab.locator("#view-drop table.sortable tbody tr").count()
    assert saved.value.suggested_filename == "drop.csv"
    assert len(lines) == rows + 1
    assert lines[0].startswith("estimator,map,Drop D × 10,95 % CI,gain over the best blind baseline,")
    tab.locator("#view-drop [data-table=latex]").click()
    expect(tab.locator("#told")).to_contain_text("copied")
    latex = tab.evaluate("navigator.clipboard.readText()")
    assert latex.count("\\\\") == rows + 1
    assert "\\toprule" in latex
    assert "95 \\% CI" in latex
    assert "\\caption{Drop. In all rows: " in latex
    tab.get_by_role("button", name="copy the BibTeX").click()
    expect(tab.locator("#told")).to_contain_text("BibTeX copied")
    assert "@software{tomolens" in tab.evaluate("navigator.clipboard.readText()")
    context.close()


def test_a_map_is_followed_through_the_page(page):
    button = page.locator(".ranking .follow", has_text="Steep slope (absolute)")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator("[data-pane=map]").first.input_value() == "steep-slope/absolute"
    followed = page.locator(".followed-map")
    assert page.locator("polyline.followed-map").count() >= 2
    assert page.locator("table.sortable tr.followed-map").count() >= 3
    button.click()
    assert followed.count() == 0


def test_the_ranking_sorts_by_a_view_and_back(page):
    names = page.locator(".ranking tbody.map .follow")
    study = names.all_inner_texts()
    turned = "body => body.append(...[...body.rows].reverse())"  # the maps made up here rank alike in all views
    for column, heading in enumerate(("Drop D", "Share inside", "Touch", "Twin share"), start=2):
        page.locator(".ranking tbody.map").evaluate(turned)
        page.locator(".ranking thead button", has_text=heading).click()
        cells = page.locator(f".ranking tbody.map tr > :nth-child({column}) .value")
        numbers = [float(text) for text in cells.all_inner_texts()]
        assert numbers == sorted(numbers, reverse=True)
        assert names.all_inner_texts() == study
    page.locator(".ranking tbody.map").evaluate(turned)
    page.locator(".ranking thead button", has_text="map").click()
    assert names.all_inner_texts() == study
    heading = page.locator(".ranking thead button", has_text="Touch")
    heading.click()
    assert page.locator(".ranking th[aria-sort=descending]").count() == 1
    heading.click()  # another click likewise
    assert page.locator(".ranking th[aria-sort]").count() == 0
    assert names.all_inner_texts() == study


def test_charts_say_what_they_find(page):
    for chart in page.locator(".chart").all():
        assert chart.locator("svg polyline, svg circle, svg rect, svg path").count() > 0
        for drawn in chart.locator("[role=img]").all():
            assert re.search(r"\d", drawn.get_attribute("aria-label"))
    panel = page.locator("#chart-erased .panel-drawing").first
    panel.scroll_into_view_if_needed()
    panel.hover()
    said = page.locator("#hover").inner_text()
    assert re.match(r"\d+\.\d %", said)
    assert re.search(r"\(absolute\), top first: \d\.\d{3} \(.+ to .+\)", said)


def test_two_maps_tell_under_the_pointer_how_they_differ(page, reported):
    chart, found = page.locator("#chart-ranks-drop"), reported[1].critical_differences["drop"]
    chart.scroll_into_view_if_needed()
    data = json.loads(chart.get_attribute("data-ends"))
    drawing = chart.locator("svg.pairs-drawing")
    box, wide = drawing.bounding_box(), float(drawing.get_attribute("viewBox").split()[2])
    scale, (left, top), size = box["width"] / wide, data["corner"], data["size"]
    for row, column in ((3, 1), (len(found.maps) - 1, 0)):
        page.mouse.move(
            box["x"] + scale * (left + (column + 0.5) * size), box["y"] + scale * (top + (row + 0.5) * size)
        )
        said = page.locator("#hover").inner_text().splitlines()
        assert said[0] == f"{data['names'][row]} · {data['names'][column]}"
        assert said[1] == data["cells"][row][column]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    expect(page.locator("#hover")).to_be_hidden()
    chart.locator(".point", has_text="Steep slope (absolute)").locator("text").first.click()
    assert page.locator(".ranking .follow[aria-pressed=true]").inner_text() == "Steep slope (absolute)"


def test_a_class_has_its_own_numbers_under_the_pointer(page):
    drawing = page.locator("#chart-erased-classes .panel-drawing").first
    drawing.scroll_into_view_if_needed()
    drawing.hover()
    assert re.search(r"\(absolute\), top first: \d\.\d{3}$", page.locator("#hover").inner_text(), re.M)


def test_no_button_leaves_the_page(page):
    opened_elsewhere = []
    page.context.on("page", lambda tab: opened_elsewhere.append(tab.url))
    leaving = "a[href]:not([download]):not([href^='#']), form[action], iframe, script[src], link[href^=http]"
    assert page.locator(leaving).count() == 0
    with page.expect_download() as saved:  # a checklist, out of the page itself
        page.locator("details:has(a[download='claim.md']) summary").click()
        page.locator("a[download='claim.md']").click()
    assert "| 44 |" in Path(saved.value.path()).read_text()
    assert opened_elsewhere == []


def test_the_page_is_named_after_its_study(page):
    assert page.title().startswith("made up: ")
    assert page.locator("link[rel=icon]").get_attribute("href").startswith("data:image/svg+xml,")
    for anchor in page.locator(".contents a").all():
        assert page.locator(anchor.get_attribute("href")).count() == 1


def masked_in_black(tab, pane=0):
    """Which pixels of a picture have the fill's grey, as rows and columns of the case."""
    shown = pixels(tab, pane)[:, 0]
    side = int(np.sqrt(len(shown)))
    return shown.reshape(side, side)[:: side // SIZE, :: side // SIZE]


def test_what_is_masked_is_what_the_network_saw(page, reported):
    index = int(page.locator("#viewer .facts").inner_text().split(" ")[1]) - 1
    example = Store(reported[0]).examples()
    name = list(Store(reported[0]).gallery())[index].name
    (example,) = (one for one in example if one.name == name)
    choose(page, "mode", "none")
    page.locator("[data-control=outline]").uncheck()
    page.locator("[data-pane=map]").first.select_option("slope/original")
    whole = masked_in_black(page).astype(int)
    for order, sign in (("0", -1), ("1", 1)):
        choose(page, "order", order)
        choose(page, "masked", 3)
        changed = masked_in_black(page).astype(int)
        count = round(3 / made.STEPS * SIZE**2)
        masked = np.zeros(SIZE**2, bool)
        masked[np.argsort(sign * example.maps["slope", "original"], axis=None)[:count]] = True
        masked = masked.reshape(SIZE, SIZE)
        assert (np.abs(changed[masked] - 127.5) <= 1).all()
        np.testing.assert_array_equal(changed[~masked], whole[~masked])
    assert "in the network’s own order" in page.locator("[data-says=exact]").inner_text()


def test_what_is_filled_from_the_twin_is_shown_as_the_twin(browser, reported, tmp_path):
    folder, findings = reported
    case = next(iter(Store(folder).gallery()))
    others = dataclasses.replace(case, filled="neighbours", name="among others")
    write_page(findings, [dataclasses.replace(case, filled="twin"), others], tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    choose(tab, "mode", "none")
    tab.locator("[data-control=outline]").uncheck()
    tab.locator("[data-control=case]").select_option("0")
    at_case(tab, 1)
    choose(tab, "masked", made.STEPS)
    np.testing.assert_allclose(masked_in_black(tab), case.twin, atol=1)
    said = tab.locator("[data-says=exact]")
    assert said.inner_text().endswith("What goes becomes what it is in the twin.")
    tab.locator("[data-control=case]").select_option("1")
    at_case(tab, 2)
    expect(said).to_contain_text("shown in one grey, which is not what the network saw")
    assert set(pixels(tab)[:, 0]) <= {127, 128}
    next(tabs, None)


def test_older_results_say_that_their_order_is_not_quite_the_networks(browser, reported, tmp_path):
    folder, findings = reported
    cases = [dataclasses.replace(case, steps={}, along={}) for case in Store(folder).gallery()]
    write_page(findings, cases, tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    said = tab.locator("[data-says=exact]").inner_text()
    assert "approximately" in said
    assert "ties drawn by lot" in said
    assert tab.locator("#shown-by-example").count() == 0
    next(tabs, None)


def test_the_curve_shows_where_the_decision_turns(page, reported):
    index = int(page.locator("#viewer .facts").inner_text().split(" ")[1]) - 1
    case = list(Store(reported[0]).gallery())[index]
    page.locator("[data-pane=map]").first.select_option("slope/original")
    most = case.correct["slope", "original"][0]
    turns = [f"{100 * step / made.STEPS:.1f} %" for step in range(1, len(most)) if most[step] != most[step - 1]]
    curve = page.locator(".case-curve")
    assert f"the decision turns at {', '.join(turns) or 'no share'}" in curve.get_attribute("aria-label")
    assert curve.get_attribute("aria-label").startswith("Probability of ")
    assert curve.locator("circle:not(.faint)").count() == len(turns)
    heights = [float(one.split(",")[1]) for one in curve.locator("polyline").first.get_attribute("points").split()]
    assert np.diff(heights).min() > 0  # the probability falls from 1 to 0, and a screen counts downward


def test_one_case_explains_what_is_measured(page):
    part = page.locator("#shown-by-example")
    part.scroll_into_view_if_needed()
    expect(part.locator("canvas")).to_have_count(3)
    expect(part.locator(".decision").first).to_contain_text("The network says")
    before = part.locator("canvas").first.evaluate("one => one.toDataURL()")
    part.locator("[data-scrub]").fill(str(made.STEPS))
    assert part.locator("canvas").first.evaluate("one => one.toDataURL()") != before
    assert part.locator("[data-says=taken]").inner_text() == "100.0 %"


def test_all_maps_stand_in_a_strip(page, reported):
    page.locator(".strip").scroll_into_view_if_needed()
    expect(page.locator(".strip .cell").first).to_be_visible()
    titles = page.locator(".strip .name").all_inner_texts()
    assert {"Slope (original)", "Edges only", "Atlas of masks", "the twin image"} <= set(titles)
    page.locator(".strip .cell", has_text="Atlas of masks").click()
    assert page.locator("[data-pane=map]").first.input_value() == "mask-atlas/original"
    page.locator(".strip .cell", has_text="the twin image").click()
    page.locator("[data-control=outline]").uncheck()
    case = list(Store(reported[0]).gallery())[int(page.locator("#viewer .facts").inner_text().split(" ")[1]) - 1]
    np.testing.assert_allclose(masked_in_black(page), case.twin, atol=1)


def volume_of(case, depth=5):
    """The case as a volume of slices that differ."""
    stack = {key: np.stack([np.roll(one, place, 0) for place in range(depth)]) for key, one in case.maps.items()}
    image = np.stack([np.roll(case.image, place, 1) for place in range(depth)], axis=1)
    mask = None if case.mask is None else np.stack([case.mask] * depth)
    return dataclasses.replace(
        case,
        image=image,
        mask=mask,
        maps=stack,
        steps={},
        along={},
        regions={},
        twin=None,
        spacing=(4.0, 2.0, 1.0),
        height=depth // 2,
    )


def test_volumes_have_three_linked_planes(browser, reported, tmp_path):
    folder, findings = reported
    cases = [volume_of(case) for case in list(Store(folder).gallery())[:2]]
    write_page(findings, cases, tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    tab.locator("[data-control=case]").select_option("0")
    at_case(tab, 1)
    tab.locator("[data-control=count]").select_option("planes")
    choose(tab, "mode", "none")
    tab.locator("[data-control=outline]").uncheck()
    assert tab.locator(".pane:visible").count() == 3
    assert tab.locator("[data-says=slice]").inner_text() == "3 of 5"
    image = cases[0].image[0]
    for pane, plane in ((0, image[2]), (1, image[::-1, SIZE // 2]), (2, image[::-1, :, SIZE // 2])):
        shown = pixels(tab, pane)[:, 0]
        zoom = int(np.sqrt(len(shown) / plane.size))
        shown = shown.reshape(plane.shape[0] * zoom, plane.shape[1] * zoom)[::zoom, ::zoom]
        np.testing.assert_allclose(shown, plane, atol=1)
    choose(tab, "slice", 4)
    assert tab.locator("[data-says=slice]").inner_text() == "5 of 5"
    tab.locator(".pane .frame").nth(1).scroll_into_view_if_needed()
    box = tab.locator(".pane .frame").nth(1).bounding_box()
    tab.mouse.click(box["x"] + box["width"] * 10.5 / SIZE, box["y"] + box["height"] * 4.5 / 5)
    assert tab.locator("[data-says=slice]").inner_text() == "1 of 5"
    assert tab.locator("[data-control=slice]").input_value() == "0"  # the slider follows
    assert tab.locator(".pane .readout").first.inner_text().startswith(f"row {SIZE // 2}, column 10: ")
    next(tabs, None)


def test_regions_without_a_mask_are_told(browser, reported, tmp_path):
    folder, findings = reported
    evil = "<b id='evil'>x</b>"
    cases = [dataclasses.replace(case, name=evil, mask=None, regions={}) for case in Store(folder).gallery()]
    write_page(findings, [*cases[:1], *Store(folder).gallery()], tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    tab.locator("[data-control=case]").select_option("0")
    at_case(tab, 1)
    choose(tab, "mode", "regions")
    said = tab.locator("[data-says=regions]")
    assert said.inner_text() == "no regions: this case has no mask"
    assert evil in tab.locator("#viewer .facts").inner_text()  # as text, here and in the filmstrip and the menu
    assert tab.locator(".film .name").first.inner_text() == evil
    assert tab.locator("#evil").count() == 0
    assert tab.locator("[data-control=share]").is_disabled()
    assert tab.locator("[data-control=outline]").is_disabled()
    tab.locator("[data-step='1']").click()
    at_case(tab, 2)
    assert said.inner_text() == ""
    assert tab.locator("[data-control=share]").is_enabled()
    next(tabs, None)


def test_a_phone_shows_all_of_it(phone):
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.locator(".pane:visible").count() == 1
    phone.evaluate("document.querySelector('.bench').scrollIntoView()")
    picture, slider = (phone.locator(one).first.bounding_box() for one in (".pane .frame", "[data-control=masked]"))
    assert picture["y"] >= 0  # both are in sight
    assert picture["y"] + picture["height"] < slider["y"] < 900
    phone.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    row = phone.locator("#view-drop table.sortable tbody tr").first
    assert row.evaluate("one => getComputedStyle(one).display") == "block"
    assert row.bounding_box()["width"] <= 390
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture
def fingers(browser, reported):
    """The page on a phone that is touched, and how fingers go: each a list of places, all at the same times."""
    tabs = opened(browser, reported, 390, has_touch=True, is_mobile=True)
    tab = next(tabs)
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.evaluate("document.querySelector('.bench').scrollIntoView()")
    session = tab.context.new_cdp_session(tab)

    def touch(*paths):
        began = time.time()  # a finger takes a frame from place to place, however slow the machine is
        for step, places in enumerate(zip(*paths, strict=True)):
            points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
            kind, at = "touchMove" if step else "touchStart", began + 0.016 * step
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points, "timestamp": at})
        end = {"type": "touchEnd", "touchPoints": [], "timestamp": at + 0.016}
        session.send("Input.dispatchTouchEvent", end)

    yield tab, touch
    next(tabs, None)


def path(start, end, steps=6):
    return [tuple(np.round(np.array(start) + (np.array(end) - start) * at / steps, 1)) for at in range(steps + 1)]


def middle_of(tab, what):
    box = tab.locator(what).first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_swipe_turns_to_the_next_map_or_case_and_scrolling_stays(fingers):
    tab, touch = fingers
    menu = tab.locator("[data-pane=map]").first
    options = menu.locator("option").evaluate_all("all => all.map((one) => one.value)")
    first = menu.input_value()
    x, y = middle_of(tab, ".pane .frame")
    touch(path((x + 60, y), (x - 60, y + 8)))
    assert menu.input_value() == options[options.index(first) + 1]
    touch(path((x - 60, y), (x + 60, y)))
    assert menu.input_value() == first
    case = tab.locator("#viewer .facts").inner_text()
    number = int(case.split(" ")[1])
    x, y = middle_of(tab, "#viewer .steps")
    touch(path((x - 60, y), (x + 60, y)))
    at_case(tab, number - 1)
    assert menu.input_value() == first
    x, y = middle_of(tab, ".pane .frame")
    before = tab.evaluate("scrollY")
    touch(path((x, y + 60), (x + 5, y - 90), 12))
    tab.wait_for_function("before => scrollY > before + 40", arg=before)
    assert menu.input_value() == first  # up and down scrolls the page, and does nothing else
    at_case(tab, number - 1)


def test_two_fingers_enlarge_what_is_between_them_and_one_moves_it(fingers):
    tab, touch = fingers
    canvas = tab.locator(".pane canvas").first
    box = tab.locator(".pane .frame").first.bounding_box()
    before, top = box["x"] + 0.3 * box["width"], box["y"] + 0.6 * box["height"]
    scroll = tab.evaluate("scrollY")
    touch(path((before - 20, top), (before - 50, top)), path((before + 20, top), (before + 50, top)))

    def view():
        said = canvas.evaluate("one => one.style.transform")
        return [float(one) for one in re.findall(r"-?[\d.]+", said)]

    x, y, zoom = view()
    assert zoom == pytest.approx(2.5, rel=0.05)
    # The place between the fingers is where it was.
    assert 50 + (30 - 50) * zoom + x == pytest.approx(30, abs=2)
    assert 50 + (60 - 50) * zoom + y == pytest.approx(60, abs=2)
    assert tab.evaluate("scrollY") == scroll
    first = tab.locator("[data-pane=map]").first.input_value()
    touch(path((before, top), (before + 0.1 * box["width"], top - 0.1 * box["height"])))
    moved = view()
    assert moved[0] - x == pytest.approx(10, abs=2)
    assert moved[1] - y == pytest.approx(-10, abs=2)
    assert tab.locator("[data-pane=map]").first.input_value() == first  # no swipe
    assert tab.evaluate("scrollY") == scroll


def test_the_controls_of_a_phone_come_up_from_below(fingers):
    tab, _ = fingers
    side, handle = tab.locator(".side"), tab.locator(".handle")
    picture, slider, sheet = (
        tab.locator(one).first.bounding_box() for one in (".pane .frame", "[data-control=masked]", ".side")
    )
    assert picture["y"] >= tab.locator(".contents").bounding_box()["height"] - 1
    assert picture["y"] + picture["height"] <= sheet["y"]
    assert sheet["y"] < slider["y"] < slider["y"] + slider["height"] <= 844
    assert sheet["y"] + sheet["height"] <= 845
    handle.tap()
    assert handle.get_attribute("aria-expanded") == "true"
    opened_ = side.bounding_box()
    assert opened_["y"] - picture["y"] > 0.8 * picture["height"]  # most of the picture stays in sight
    tab.locator("[data-control=opacity]").scroll_into_view_if_needed()
    assert tab.locator(".pane .frame").first.bounding_box()["y"] == pytest.approx(picture["y"], abs=2)
    handle.tap()
    assert side.bounding_box()["height"] == pytest.approx(sheet["height"], abs=1)
    tab.locator("[data-control=width]").focus()
    assert handle.get_attribute("aria-expanded") == "true"  # what has the focus is seen


def test_tables_are_sorted_on_a_phone_too(phone):
    phone.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    menu = phone.locator("#view-drop [data-table=by]")
    study = phone.locator("#view-drop table.sortable tbody td:nth-child(1)").all_inner_texts()
    menu.select_option(label="estimator")
    names = phone.locator("#view-drop table.sortable tbody td:nth-child(1)").all_inner_texts()
    assert names == sorted(study, key=str.casefold)
    menu.select_option(label="the study’s order")
    assert phone.locator("#view-drop table.sortable tbody td:nth-child(1)").all_inner_texts() == study
    row = phone.locator("#checklists table tbody tr").first
    assert row.evaluate("one => getComputedStyle(one).display") == "block"


def test_targets_are_large_enough(phone):
    tall = "(one) => one.checkVisibility() && Math.min(one.offsetWidth, one.offsetHeight) < 24"
    targets = "button, select, input, summary, .contents a, .more"
    small = phone.locator(targets).evaluate_all(f"all => all.filter({tall}).map((one) => one.outerHTML.slice(0, 80))")
    assert small == []


def test_the_theme_is_the_systems_or_chosen(browser, reported):
    tabs = opened(browser, reported, 1200, color_scheme="dark")
    tab = next(tabs)

    def ground():
        return sum(map(int, re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]))

    assert ground() < 90
    tab.locator("#theme").select_option("light")
    assert ground() > 700
    tab.reload()
    tab.wait_for_selector("body[data-ready]")
    assert ground() > 700
    next(tabs, None)


def test_it_prints(page, tmp_path):
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
    page.emulate_media(media="print")
    assert not page.locator("#viewer").is_visible()
    assert not page.locator(".contents").is_visible()
    assert page.locator(".verdict").is_visible()
    assert page.locator("#chart-erased .panel").first.is_visible()
    forest, cell = (page.locator(f".ranking tbody.map {one}").first.bounding_box() for one in ("td .forest", "td"))
    assert forest["width"] > 0.4 * cell["width"]
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    rows = "one => [one.open, one.querySelectorAll('tbody tr').length]"
    found = [one.evaluate(rows) for one in page.locator("details:has(table.sortable)").all()]
    assert {is_open for is_open, count in found if count <= 60} == {True}
    assert {is_open for is_open, count in found if count > 60} == {False}  # the strata
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator("details:has(table.sortable)").last.evaluate("one => one.open") or found[-1][1] <= 12


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing(browser, reported, scheme, width):
    axe = pytest.importorskip("axe_core_python", reason="axe-core is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    tabs = opened(browser, reported, width, color_scheme=scheme, bypass_csp=True)
    tab = next(tabs)
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    tab.evaluate(script)
    found = tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    said = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found["violations"]]
    assert said == []
    next(tabs, None)


def shown(tab):
    """The estimators in the tables, in the viewer's menu, in the first chart and in the ranking."""
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    rows = tab.locator("table.sortable tbody tr:visible td:first-child").all_inner_texts()
    menu = tab.locator("[data-pane=map]").first.locator("optgroup:first-child option:not([hidden])").all_inner_texts()
    panels = tab.locator("#chart-erased .panel:visible .panel-title span").all_inner_texts()
    ranked = tab.locator(".ranking tbody.map tr:visible").evaluate_all("all => all.map((one) => one.dataset.title)")
    return [{text.split(" (")[0] for text in texts} for texts in (rows, menu, panels, ranked)]


def test_estimators_are_chosen_by_group_and_name(grouped):
    everything = shown(grouped)
    assert {"Slope", "Steep slope", "Positive"} <= set.intersection(*everything)
    grouped.locator("#filter select").select_option(label="slopes (2)")
    rows, *others = shown(grouped)
    assert others == [{"Slope", "Steep slope"}] * 3
    assert not {"Positive", "Noise"} & rows
    assert {"Slope", "Steep slope"} <= rows
    expect(grouped.locator("[data-says=shown]")).to_have_text("2 of 4 estimators")
    grouped.locator("#filter input").fill("STEEP")
    assert shown(grouped)[1:] == [{"Steep slope"}] * 3
    grouped.locator("#filter button").click()
    expect(grouped.locator("[data-says=shown]")).to_have_text("")
    assert shown(grouped) == everything


def test_few_estimators_need_no_choice(page):
    assert page.locator("#filter").count() == 0


def test_what_is_said_of_a_decision_holds_whatever_it_was(page):
    for label, predicted, explained, decided in product(range(3), repeat=4):
        right = (decided == explained) == (label == explained)  # as the metrics keep it
        one = {"label": label, "predicted": predicted, "explained": explained}
        said = page.evaluate("([one, right]) => decision(['a', 'b', 'c'], one, right)", [one, right])
        says = f"{'still ' if predicted == explained else ''}says {'abc'[explained]} ("
        assert (f"The network {says}" in said) == (decided == explained)
        assert said.endswith(f"({'right' if right else 'wrong'} about it)")
        turned = page.evaluate("one => turning(['a', 'b', 'c'], one, '5 %')", one)
        assert ("changes its mind" in turned) == (predicted == explained)


def test_the_filmstrip_orders_by_the_maps_that_can_be_chosen(browser, reported, tmp_path):
    folder, findings = reported
    stored = list(Store(folder).gallery())
    cases = [
        dataclasses.replace(case, numbers={**case.numbers, ("slope", "blurred"): {"drop": 100.0 + at}})
        for at, case in enumerate(stored)
    ]
    own = [max(case.numbers[key]["drop"] for key in case.numbers if key[0] in KEPT) for case in stored]
    write_page(findings, cases, tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    tab.locator("[data-control=sort]").select_option("number:drop")
    expected = [stored[at].name for at in np.argsort(-np.array(own), kind="stable")]
    assert tab.locator(".film .cell .name").all_inner_texts() == expected
    next(tabs, None)


def test_the_contents_leave_the_case_as_it_is(page):
    page.locator(".film .cell").nth(4).click()
    at_case(page, 5)
    page.locator(".contents a", has_text="Methods").click()
    expect(page).to_have_url(re.compile("#methods$"))
    page.wait_for_timeout(100)
    at_case(page, 5)


def test_a_case_that_is_not_there_is_told_and_a_hidden_one_is_found(browser, reported):
    tabs = opened(browser, reported, 1200, "#case=nonexistent")
    tab = next(tabs)
    expect(tab.locator("[data-says=film]")).to_have_text(
        "There is no case “nonexistent” on this page; another is shown."
    )
    name = tab.locator(".film .cell .name").first.inner_text()
    tab.locator("[data-film=show]").select_option("wrong")
    expect(tab.locator("#viewer .facts")).not_to_contain_text(name)
    tab.evaluate("name => { location.hash = `case=${name}`; }", name)
    expect(tab.locator("#viewer .facts")).to_contain_text(name)
    assert tab.locator("[data-film=show]").input_value() == "all"
    next(tabs, None)


def test_the_active_picture_is_in_sight_and_has_the_focus(page):
    page.locator("[data-control=count]").select_option("4")
    page.locator(".pane canvas").nth(3).focus()
    assert page.locator(".pane.active").get_attribute("data-pane-number") == "3"
    page.locator("[data-control=count]").select_option("2")
    assert page.locator(".pane.active").get_attribute("data-pane-number") == "0"


def test_that_there_is_no_case_can_be_read(page):
    page.locator("[data-film=class]").select_option(label="without")
    page.locator("[data-film=show]").select_option("wrong")
    facts = page.locator("#viewer .facts")
    expect(facts).to_have_text("No case is of this kind.")
    expect(facts).to_be_visible()


def test_the_slices_of_a_thinned_volume_are_its_own(browser, reported, tmp_path):
    folder, findings = reported
    case = volume_of(next(iter(Store(folder).gallery())))
    case = dataclasses.replace(case, spacing=None, upright=False, strides=(2, 1, 1), full=(10, SIZE, SIZE), height=2)
    write_page(findings, [case], tmp_path / "report.html")
    tabs = opened(browser, (tmp_path, findings), 1200)
    tab = next(tabs)
    assert tab.locator("[data-says=slice]").inner_text() == "6 of 10"
    assert "Of 10 slices, 1 of every 2 is shown." in tab.locator("#viewer .facts").inner_text()
    tab.locator("[data-control=count]").select_option("planes")
    box = tab.locator(".pane .frame").nth(1).bounding_box()
    assert box["width"] / box["height"] == pytest.approx(SIZE / 10, rel=0.02)
    assert set(tab.locator(".mark").all_text_contents()) == {""}
    assert tab.locator(".scale-bar:visible").count() == 0
    next(tabs, None)


def test_a_phone_says_what_colours_and_marks_mean(phone):
    for part in (".stage .bar", ".stage .range", ".stage .numbers", ".ranking .classes"):
        expect(phone.locator(part).first).to_be_visible()
    facts = phone.locator("#viewer .facts")
    assert facts.evaluate("one => one.scrollHeight - one.clientHeight") <= 1


def test_a_heading_is_seen_below_the_choice_of_maps(grouped):
    grouped.locator(".contents a", has_text="Share inside").click()
    bar, heading = (grouped.locator(one).bounding_box() for one in ("#filter", "#view-inside h2"))
    assert bar["y"] + bar["height"] <= heading["y"]


def test_the_strip_of_the_next_case_keeps_the_choice_of_maps(grouped):
    grouped.locator(".strip").scroll_into_view_if_needed()
    expect(grouped.locator(".strip .cell").first).to_be_visible()
    grouped.locator("#filter select").select_option(label="slopes (2)")
    names = grouped.locator(".strip .cell:visible .name")
    assert "Positive" not in " ".join(names.all_inner_texts())
    first = grouped.locator(".strip canvas").first.evaluate_handle("one => one")
    grouped.evaluate("document.querySelector(\"[data-step='1']\").click()")
    grouped.wait_for_function("one => !one.isConnected", arg=first)
    assert "Positive" not in " ".join(names.all_inner_texts())


def test_cells_are_copied_and_sorted_as_what_they_are(page):
    cells = ["-1.41 to -0.63", "-0.2 (-0.3 to 0.1)", "-1000 HU", "-1+1", "=1", "a\rb", "1"]
    assert page.evaluate("cells => asCsv([cells])", cells) == (
        "-1.41 to -0.63,-0.2 (-0.3 to 0.1),-1000 HU,'-1+1,'=1,\"a\rb\",1"
    )
    rows = [["[x]", "b"], ["*y", "two\n\nlines"], ["z", "[w]"]]
    lines = page.evaluate("rows => asLatex(rows, 'c')", rows).splitlines()
    assert [line for line in lines if line.endswith("\\\\")] == [
        "{}[x] & b \\\\",
        "{}*y & two lines \\\\",
        "z & [w] \\\\",
    ]
    texts = ["3D Grad-CAM", "1.2e-05", "-0.5 to 1", "< 0.001", "12.5", "+3", "2.0 (1.0 to 3.0) †"]
    keys = page.evaluate("texts => texts.map((textContent) => keyOf({ textContent }))", texts)
    assert keys == ["3D Grad-CAM", 1.2e-05, -0.5, 0.001, 12.5, 3, 2]


def test_a_spreadsheet_has_numbers_without_marks_and_what_is_folded_away(page, reported):
    table = page.locator("#view-drop table.sortable").first
    rows = list(csv.reader(io.StringIO(table.evaluate("table => asCsv(spreadsheetOf(table))"))))
    head, body = rows[0], rows[1:]
    gain = next(at for at, name in enumerate(head) if name.startswith("gain"))
    assert head[gain + 1] == f"{head[gain]}, mark"
    assert {row[gain + 1] for row in body} == {"", "†"}
    assert any(row[gain].startswith("-") for row in body)
    assert all(re.fullmatch(r"-?\d+\.\d+( \(-?\d+\.\d+ to -?\d+\.\d+\))?|–", row[gain]) for row in body)
    cases = head.index("cases")
    assert {row[cases] for row in body} == {str(len(reported[1].measured.cases))}
    assert {len(row) for row in rows} == {len(head)}


def test_a_tap_shows_the_numbers_of_a_chart(browser, reported):
    tabs = opened(browser, reported, 390, has_touch=True, is_mobile=True)
    tab = next(tabs)
    panel = tab.locator("#chart-erased .panel-drawing").first
    panel.scroll_into_view_if_needed()
    panel.tap()
    assert re.match(r"\d+\.\d %", tab.locator("#hover").inner_text())
    tab.locator("#chart-erased figcaption").tap()
    expect(tab.locator("#hover")).to_be_hidden()
    folded = tab.locator("#chart-ranks-drop .all-pairs")
    folded.locator("summary").focus()
    tab.keyboard.press("Enter")
    found = reported[1].critical_differences["drop"]
    expect(folded.locator("tbody tr")).to_have_count(len(found.maps) * (len(found.maps) - 1) // 2)
    data = json.loads(tab.locator("#chart-ranks-drop").get_attribute("data-ends"))
    assert folded.locator("tbody tr").nth(1).locator("td").all_inner_texts() == [
        data["names"][0],
        data["names"][2],
        data["cells"][2][0],
    ]
    next(tabs, None)


def test_bytes_come_as_they_were_packed(page):
    random = np.random.default_rng(0)
    for content in (*(random.bytes(length) for length in (*range(12), 4099)), b"\xff" * 9, b"\x00" * 7):
        text = as_text(content)
        assert not set(text) & set('<"\\')
        assert page.evaluate("(text) => [...bytesOf(text)]", text) == list(content)


def test_what_masked_pixels_become_is_said(page):
    said = [page.evaluate("(fill) => fillInWords(fill)", fill) for fill in ([0], [1], [0.4], [0, 1])]
    assert said == [
        " What goes becomes black.",
        " What goes becomes white.",
        " What goes becomes grey (40 % of white).",
        "",
    ]
    expect(page.locator(".curve-box")).to_contain_text("What goes becomes")
