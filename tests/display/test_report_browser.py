"""The report in a real browser: nothing in it runs, and it asks the network for nothing."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from sklexplain import LIME, KernelSHAP, PermutationImportance, write_report
from tests.display.browser import dumped_dom, needs_browser, requests_of_the_page
from tests.pages import Page

# What a script leaves behind if it runs; alert() would leave nothing to look at.
MARK = "document.documentElement.dataset.ran=1"
COLUMN = "<script>alert(1)</script>"
SCRIPT = f"</text></svg></style><script>{MARK}</script>"
IMAGE = f'"><img src="x" onerror="{MARK}">'
ADDRESSES = {
    "src",
    "srcset",
    "href",
    "xlink:href",
    "action",
    "formaction",
    "poster",
    "data",
    "ping",
}
FETCH = "<img src=http://unescaped.invalid/x.png>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report in which everything that has a name has a hostile one."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({COLUMN: rng.normal(size=40), IMAGE: rng.normal(size=40)})
    X[FETCH] = np.where(rng.random(40) < 0.5, SCRIPT, f"b{IMAGE}")
    X.index = [f"{i}{SCRIPT if i % 2 else IMAGE}" for i in range(40)]
    y = np.where(X[COLUMN] > 0, SCRIPT, IMAGE)
    encoder = make_column_transformer(
        (OneHotEncoder(sparse_output=False), [FETCH]), remainder="passthrough"
    )
    tree = make_pipeline(encoder, DecisionTreeClassifier(max_depth=2, random_state=0)).fit(X, y)
    frozen = FrozenEstimator(tree)
    params = {"random_state": 0}
    explanations = {
        f"permutation {SCRIPT}": PermutationImportance(frozen, n_repeats=2, **params)
        .fit(X, y)
        .explanation_,
        f"SHAP {IMAGE}": KernelSHAP(frozen, background=5, **params).fit(X, y).explain(X[:6]),
        f"LIME {FETCH}": LIME(frozen, n_samples=200, **params).fit(X, y).explain(X[:6]),
    }
    return write_report(
        tmp_path_factory.mktemp("report") / "report.html",
        explanations,
        estimator=tree,
        X=X,
        y=y,
        baseline={f"naive {SCRIPT}": y[::-1]},
        unit=IMAGE,
        title=f"{COLUMN}{SCRIPT}{FETCH}",
    )


@pytest.fixture(scope="module")
def unescaped(page):
    """What the report would be without escaping and without its policy."""
    html = unescape(page.read_text("utf-8")).replace("alert(1)", MARK)
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)


def test_hostile_names_are_there_as_text_only(page):
    html = page.read_text("utf-8")
    assert "<script" not in html.lower()
    parsed = Page(html)
    assert parsed.named("script", "img", "b", "iframe", "link", "object", "embed") == []
    assert not any(name.startswith("on") for _, attrs in parsed.elements for name in attrs)
    texts = " ".join(parsed.texts)
    for hostile in (COLUMN, SCRIPT, IMAGE, FETCH):
        assert hostile in texts


def test_every_picture_is_told_in_words(page):
    pictures = Page(page.read_text("utf-8")).named("svg")
    assert len(pictures) >= 6
    for attrs in pictures:
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"]) > 40


def test_no_attribute_leads_out_of_the_page(page):
    html = page.read_text("utf-8")
    for _, attrs in Page(html).elements:
        for name in ADDRESSES & set(attrs):
            assert attrs[name].startswith(("#", "data:image/png;base64,"))
        assert re.findall(r"url\((?!#)", attrs.get("style") or "") == []
    style = html[html.index("<style>") : html.index("</style>")]
    assert re.search(r"url\(|@import", style) is None
    policy = next(meta["content"] for meta in Page(html).named("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")


@needs_browser
def test_nothing_runs_in_the_browser(page, unescaped, tmp_path):
    assert "data-ran" not in dumped_dom(page, tmp_path / "profile")
    # The same names, not escaped, do run: the test would see it.
    control = tmp_path / "control.html"
    control.write_text(unescaped, "utf-8")
    assert "data-ran" in dumped_dom(control, tmp_path / "control")


@needs_browser
def test_the_policy_alone_would_stop_a_script(page, tmp_path):
    bare = tmp_path / "bare.html"
    html = page.read_text("utf-8").replace("<main>", f"<main><script>{MARK}</script>")
    bare.write_text(html, "utf-8")
    assert "data-ran" not in dumped_dom(bare, tmp_path / "profile")


@needs_browser
def test_the_browser_asks_the_network_for_nothing(page, unescaped, tmp_path):
    assert requests_of_the_page(page, tmp_path / "profile") == []
    control = tmp_path / "control.html"
    control.write_text(unescaped, "utf-8")
    assert "http://unescaped.invalid/x.png" in requests_of_the_page(control, tmp_path / "control")


@needs_browser
def test_pictures_are_seen_whole_on_a_phone(page, tmp_path):
    width = 360
    outer = tmp_path / "phone.html"
    outer.write_text(
        f'<iframe style="width:{width}px;height:800px;border:0" src="{page.as_uri()}"></iframe>'
        "<script>onload = () => { const inner = document.querySelector('iframe').contentDocument;"
        "const edges = [...inner.querySelectorAll('figure svg')].map("
        "picture => picture.getBoundingClientRect().right);"
        "document.body.dataset.edges = [inner.documentElement.scrollWidth, ...edges]; }</script>",
        "utf-8",
    )
    dom = dumped_dom(outer, tmp_path / "profile", "--allow-file-access-from-files")
    found = re.search(r'data-edges="([^"]+)"', dom)
    edges = [float(edge) for edge in found[1].split(",")]
    assert len(edges) > 6
    assert max(edges) <= width
