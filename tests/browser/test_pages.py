"""The pages in a real browser, without a network: the figures are drawn and nothing is asked of other hosts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.compare import CompareParams, compare
from pipelines.evaluate import Entry, EvaluateParams, evaluate
from pipelines.figures import leaderboard_page, report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def entry(noise: float) -> Entry:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 400)
    score = 1 / (1 + np.exp(-(2 * target - 1 + rng.normal(0, noise, 400))))
    probability, group = np.column_stack([1 - score, score]), np.arange(400).astype(str)
    evaluation = evaluate(
        target=target,
        probability=probability,
        group=group,
        threshold=0.5,
        classes=["no", "<b>yes</b>"],
        positive=1,
        params=EvaluateParams(resamples=100),
    )
    return Entry(evaluation=evaluation, target=target, predicted=probability, group=group)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    entries = {"mlp": entry(1.0), "logistic": entry(2.0)}
    board = compare(entries, CompareParams(), baselines={"logistic"})
    texts = {
        "leaderboard": leaderboard_page(board, {name: e.evaluation for name, e in entries.items()}, "A study"),
        "report": report(entries["mlp"].evaluation, "A model"),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture(scope="module")
def page() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 1600})
        browser.close()


@pytest.mark.parametrize(("name", "figures"), [("leaderboard", 2), ("report", 4)])
def test_every_figure_is_drawn_offline(name: str, figures: int, pages: dict[str, Path], page) -> None:
    asked: list[str] = []
    failed: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(pages[name].as_uri())
    page.wait_for_function(f"document.querySelectorAll('.main-svg').length >= {figures}")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert failed == []


def test_a_label_with_markup_is_shown_not_run(pages: dict[str, Path], page) -> None:
    page.goto(pages["report"].as_uri())
    assert "<b>yes</b>" in page.inner_text("body")
