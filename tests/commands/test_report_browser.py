"""The page in a browser: no complaints, no overflow, cells that show faces, texts to be read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from browsers import find_browser

from minicnn.commands import compare_dnn

pytestmark = pytest.mark.host

DARK = "--blink-settings=preferredColorScheme=0"
WIDTHS = (1280, 390, 320)
# Which panels of faces can be seen.
SEEN = """
const seen = () => [...document.querySelectorAll(".cell-faces")]
  .filter((each) => each.getClientRects().length).map((each) => each.id);
const cell = (name) => document.querySelector(`a[href="#${name}"]`);
"""
# Texts whose colours are too close to what is behind them (WCAG 2, level AA).
FAINT = """
const rgb = (color) => {
  const numbers = color.match(/[\\d.]+/g).map(Number);
  const scale = color.startsWith("color(") ? 1 : 255;
  return [...numbers.slice(0, 3).map((each) => each / scale), numbers[3] ?? 1];
};
const light = (color) => {
  const [r, g, b] = color.map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (each) => {
  for (; each; each = each.parentElement) {
    const color = rgb(getComputedStyle(each).backgroundColor);
    if (color[3] === 1) return color;
  }
  return [1, 1, 1];
};
const found = new Set();
for (const each of document.querySelectorAll("body *")) {
  const own = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !each.getClientRects().length || each.closest("script, style")) continue;
  const style = getComputedStyle(each);
  const color = rgb(each.closest("svg") ? style.fill : style.color);
  const pair = [light(color), light(behind(each))].sort((a, b) => a - b);
  const contrast = (pair[1] + 0.05) / (pair[0] + 0.05);
  const text = each.textContent.trim().slice(0, 40);
  if (contrast < 4.5) found.add(`${contrast.toFixed(2)} ${each.tagName} ${text}`);
}
return [...found];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    return find_browser(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def page(reported, tmp_path_factory):
    """Return a copy of the page alone: what it needs is in it."""
    return shutil.copy(reported / "report.html", tmp_path_factory.mktemp("page"))


@pytest.fixture
def quiet(browser):
    """Fail where a page complains in the console."""
    browser.errors.clear()
    yield
    assert browser.errors == []


@pytest.mark.parametrize("width", WIDTHS[:2])
@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_it_can_be_looked_at(browser, page, quiet, width, flags):
    picture = browser.screenshot(page, width, 2400, *flags)
    assert picture.shape == (2400, width, 3)
    background = np.median(picture.reshape(-1, 3), axis=0)
    assert (background.mean() < 0.2) == bool(flags)
    drawn = (np.abs(picture - background).max(axis=2) > 0.1).any(axis=1)
    assert drawn[:1200].mean() > 0.3
    assert drawn[1200:].mean() > 0.3
    assert picture.std() > 0.05


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(browser, page, quiet, width):
    found = browser.ask(
        page,
        """
        const root = document.documentElement;
        const wide = [...document.querySelectorAll("main *, header *")]
          .filter((each) => !each.closest(".scroll, pre, .unseen"))
          .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5);
        return [innerWidth, root.scrollWidth, wide.map((each) => each.outerHTML.slice(0, 99))];
        """,
        width=width,
    )
    assert found == [width, width, []]


def test_one_cell_at_a_time_shows_its_faces(browser, page, quiet):
    steps = browser.ask(
        page,
        SEEN
        + """
        const links = [...document.querySelectorAll("a.cell")];
        const [one, other] = links.filter((each) => !each.parentElement.matches(".right"));
        const reachable = links.filter((each) => each.tabIndex === 0);
        const steps = [seen(), reachable.map((each) => each.hash)];
        one.dispatchEvent(new PointerEvent("pointerenter"));
        steps.push(seen(), [one.hash.slice(1)]);
        one.closest("tbody").dispatchEvent(new PointerEvent("pointerleave"));
        steps.push(seen());
        other.click();
        steps.push(seen(), [other.hash.slice(1)]);
        const pictures = document.querySelectorAll(other.hash + " img");
        steps.push([...pictures].every((each) => each.complete && each.naturalWidth === 48));
        steps.push(other.getAttribute("aria-current"), location.hash);
        return steps;
        """,
    )
    first, reachable, pointed, asked, left, clicked, wanted, loaded, current, place = steps
    assert len(first) == 1
    assert reachable == [f"#{first[0]}"]  # with the tabulator, one cell; with arrows, the others
    true, predicted = first[0].split("-")[1:]
    assert true != predicted  # the most frequent confusion comes first
    assert pointed == asked
    assert left == first
    assert clicked == wanted
    assert loaded
    assert (current, place) == ("true", "")


def test_arrow_keys_move_between_cells(browser, page, quiet):
    moves = browser.ask(
        page,
        SEEN
        + """
        const rows = [...document.querySelectorAll(".matrix tbody tr")]
          .map((row) => [...row.querySelectorAll(".cell")]);
        const links = [...document.querySelectorAll("a.cell")];
        const before = (row, column) => {
          for (column -= 1; column >= 0; column -= 1) if (rows[row][column].hash) break;
          return column;
        };
        const row = rows.findIndex((each, r) => each[6].hash && before(r, 6) >= 0);
        rows[row][6].focus();
        const moves = [seen()];
        const press = (key) => document.activeElement.dispatchEvent(
          new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        press("ArrowLeft");
        moves.push(seen(), [`cell-${row}-${before(row, 6)}`]);
        press("ArrowRight");
        moves.push(seen());
        press("ArrowRight");  // there is nothing further on
        moves.push(seen());
        return moves;
        """,
    )
    start, left, expected, back, edge = moves
    assert left == expected != start
    assert back == edge == start


def test_without_a_script_links_lead_to_the_faces(browser, page, quiet, tmp_path):
    bare = tmp_path / "bare.html"
    text = page_text(page)
    bare.write_text(text[: text.rindex("<script>")] + "</body></html>")
    found = browser.ask(
        bare,
        SEEN
        + """
        const before = seen();
        const link = document.querySelector("a.cell");
        location.hash = link.hash;
        await new Promise((done) => setTimeout(done, 100));
        return [before, seen(), [link.hash.slice(1)]];
        """,
    )
    assert found[0] == []
    assert found[1] == found[2]


def page_text(page):
    with open(page, encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(browser, page, quiet, dark):
    # In a frame, the colours of the page around count: so they are chosen by the page itself.
    text = page_text(page)
    asked = "screen and (prefers-color-scheme: dark)"
    assert asked in text
    copy = browser.folder / "colors.html"
    copy.write_text(text.replace(asked, "screen" if dark else "print and (width: 1px)"))
    background = browser.ask(copy, "return getComputedStyle(document.body).backgroundColor;")
    assert (background == "rgb(20, 22, 26)") == dark
    assert browser.ask(copy, FAINT) == []


def test_print_shows_what_a_screen_shows_one_by_one(browser, page, quiet):
    pdftotext = shutil.which("pdftotext")
    if pdftotext is None:
        pytest.skip("no pdftotext is found on PATH")
    file = browser.folder / "page.pdf"
    browser.run(page, f"--print-to-pdf={file}", "--no-pdf-header-footer")
    printed = subprocess.run([pdftotext, "-layout", file, "-"], capture_output=True, text=True,
                             check=True).stdout  # fmt: skip
    words = " ".join(printed.split())
    panels = browser.ask(page, 'return document.querySelectorAll(".cell-faces").length;')
    assert panels > 7
    # Each panel says how many faces of how many it stands for; on a screen, one of them is seen.
    assert len(re.findall(r"\b\d+ of \d+\b", words)) >= panels
    assert "Faces by confidence" in words  # folded on a screen
    assert "dropout_dense1" in words
    assert "Point at a cell" not in words


def test_what_a_console_complains_of_is_noticed(browser, tmp_path):
    browser.errors.clear()
    file = tmp_path / "bad.html"
    file.write_text(
        "<!DOCTYPE html><title>bad</title><body><script>nothing.there()</script></body>"
    )
    browser.run(file, "--dump-dom")
    assert any("nothing is not defined" in each for each in browser.errors)


def test_what_would_ask_a_network_is_refused(browser, page):
    browser.errors.clear()
    asked = """
      const image = new Image();
      document.body.append(image);
      const end = new Promise((done) => (image.onerror = image.onload = (e) => done(e.type)));
      image.src = "http://localhost:9/a.png";
      return end;
    """
    assert browser.ask(page, asked) == "error"
    assert any("Content Security Policy" in each for each in browser.errors)


def test_the_page_of_an_experiment_fits_as_well(browser, command, tmp_path, monkeypatch,
                                                no_figures, quiet):  # fmt: skip
    pair = {"avgpool_dnn": 0.6, "plain_dnn": 0.2}
    monkeypatch.setattr(compare_dnn, "SYSTEMS", {"B": pair})
    monkeypatch.setattr("minicnn.commands.explaining.SMALL", 0)
    words = ("--limit", "21", "--batch-size", "21", "--epochs", "2", "--quiet")
    assert command("compare_dnn", *words, "--out", tmp_path / "out")[0] == 0
    for name in ("report.html", "avgpool_dnn/report.html"):
        for width in (1280, 390):
            size = "return [innerWidth, document.documentElement.scrollWidth];"
            assert browser.ask(tmp_path / "out" / name, size, width=width) == [width, width]
            broken = """return [...document.querySelectorAll(".matrix thead span")]
                .filter((each) => each.getClientRects().length > 1)
                .map((each) => each.innerText);"""
            assert browser.ask(tmp_path / "out" / name, broken, width=width) == []
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    seen = browser.ask(
        tmp_path / "out" / "report.html",
        """return [...document.querySelectorAll("#comparison td:nth-child(2)")]
             .map((each) => each.textContent);""",
    )
    assert seen == [f"{100 * row['accuracy']:.1f}%" for row in content["runs"]]
