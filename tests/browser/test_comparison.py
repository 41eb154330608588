"""The comparison's page in a real browser, without a network: the slider moves all figures; phone, dark, paper."""

import shutil
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from contracts.study import Column
from pipelines.comparison import sections
from pipelines.comparison.decision import SMALL, decisions
from pipelines.comparison.page import comparison_page
from pipelines.comparison.recipe_sections import settings_table
from pipelines.comparison.standing import draws, sentence, standing
from pipelines.comparison.subgroups import by_group
from tests.browser.test_pages import FLAGS, entry

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
HOSTILE = "<b>mlp</b></script><script>window.hit=1</script>"
FIGURES = 7


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    entries = {"boosting": entry(1.0), HOSTILE: entry(2.0)}
    drawn = draws(entries, ["auroc"])
    found = standing(entries, drawn, "auroc")
    evaluations = sections.of_two_classes({name: one.evaluation for name, one in entries.items()})
    decided = {
        name: decisions(one.target == 1, one.predicted[:, 1], one.group, resamples=100) for name, one in entries.items()
    }
    rows = pd.DataFrame({"sex": np.where(np.arange(400) % 2, "f", "m")}).astype("str")
    groups = by_group(
        entries, rows, {"sex": Column(type="categorical")}, {"sex": ()}, metric="auroc", reference=found.best,
        min_patients=20,
    )  # fmt: skip
    names = [f"boosting {at}" for at in range(7)]
    settings = {f"boosting.l2_regularization_{at}": dict.fromkeys(names, at) for at in range(14)}
    parts = [
        ("Metrics", sections.metrics_section(entries, drawn, list(entries), "auroc")),
        ("Curves", sections.curves_section(evaluations, decided, 0)),
        ("Subgroups", sections.subgroups_section(groups, 20)),
        ("What differs", settings_table(settings, names, "settings")),
    ]
    data = {
        "runs": sections.curves_data(evaluations, decided), "small": SMALL, "forests": sections.forests_data(groups)
    }  # fmt: skip
    path = tmp_path_factory.mktemp("comparison") / "page.html"
    path.write_text(comparison_page("Comparison", sentence(found), "400 rows", ["a caution"], parts, data), "utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address: str):
    """The page, drawn; at the end nothing may have failed or been asked of other hosts."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    opened = context.new_page()
    failed: list[str] = []
    opened.on("pageerror", lambda error: failed.append(str(error)))
    opened.on("console", lambda said: failed.append(said.text) if said.type in ("error", "warning") else None)
    opened.on(
        "request", lambda asked: failed.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None
    )
    opened.goto(address)
    opened.wait_for_function(f"document.querySelectorAll('.plot .main-svg').length >= {FIGURES}")
    yield opened
    assert failed == []
    context.close()


MARKS = """() => {
  const of = (name) => document.getElementById(`figure-${name}`);
  const points = (name) => of(name).data.filter((one) => one.name === "at the threshold").map((one) => one.x[0]);
  const line = (name) => of(name).layout.shapes[0].x0;
  return [...["roc", "pr", "benefit"].map(points), line("calibration"), line("scores")];
}"""


def test_the_slider_moves_every_figure_by_keyboard(page) -> None:
    row, cells = page.locator("#decision-0"), page.locator("#decision-0 td")
    before, first = page.evaluate(MARKS), row.inner_text()
    page.focus("#threshold")
    assert page.input_value("#threshold") == "55", "it stands at the prevalence"
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.getElementById('threshold-now').textContent === '0.35'")
    after = page.evaluate(MARKS)
    assert all(one != other for one, other in zip(before, after, strict=True)), "each figure has moved"
    assert after[3] == after[4] == 0.35
    assert row.inner_text() != first and cells.first.inner_text() == "0.35"
    assert "(" in cells.nth(1).inner_text(), "with its interval"
    found, missed = (int(page.inner_text(f"#{name}-0")) for name in ("true_positives", "false_negatives"))
    assert cells.nth(1).inner_text().startswith(f"{100 * found / (found + missed):.0f}%")


def test_each_run_stands_at_its_own_threshold_until_the_slider_is_moved(page) -> None:
    own = "document.getElementById('threshold-now').textContent === 'each its own'"
    pressed = [page.evaluate(own), page.get_attribute("#threshold-own", "aria-pressed")]
    page.focus("#threshold")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"!({own})")
    pressed.append(page.get_attribute("#threshold-own", "aria-pressed"))
    page.click("#threshold-own")
    page.wait_for_function(own)
    assert [*pressed, page.get_attribute("#threshold-own", "aria-pressed")] == [True, "true", "false", "true"]


def test_hostile_names_are_shown_and_do_nothing(page) -> None:
    assert page.evaluate("window.hit") is None
    assert "<b>mlp</b></script>" in page.inner_text("main")


def test_dark_phone_and_paper(page) -> None:
    def colors() -> list[str]:
        return page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, document.getElementById('figure-roc').layout.font.color]"
        )

    light = colors()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert all(one != other for one, other in zip(light, colors(), strict=True)), "figures, too"
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing is cut off"
    page.emulate_media(media="print")
    assert not page.is_visible("#threshold")
    page.set_viewport_size({"width": 720, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 720, "a table of 15 columns fits on paper"


def test_contrast_names_and_order(page) -> None:
    """WCAG AA: text of 4.5 to 1 in both schemes; a name for each control and figure; headings in order."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(CONTRAST) == [], scheme
    assert page.evaluate("document.querySelectorAll('[role=img]:not([aria-label])').length") == 0
    assert page.evaluate("document.querySelector('label[for=threshold]').innerText") == "Threshold"
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    ids = page.evaluate("[...document.querySelectorAll('main [id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


CONTRAST = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => channels(color).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor, alpha = channels(color)[3];
      if (alpha === undefined || alpha > 0) return color;
    }
    return "rgb(255,255,255)";
  };
  return [...document.querySelectorAll("main *")]
    .filter((one) => !one.closest(".plot") && one.checkVisibility() &&
      [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
    .filter((one) => {
      const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    }).map((one) => one.outerHTML.slice(0, 80));
}"""
