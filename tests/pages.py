"""Reading the HTML pages that the package writes."""

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Collects the elements and tables of a page; every element must be closed in its order."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self.tables, self._open = [], [], [], []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.texts.append(data)
        if self._open and self._open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data

    def named(self, *tags):
        return [attrs for tag, attrs in self.elements if tag in tags]


def assert_asks_nothing_of_the_network(html):
    assert not re.search(r"https?:|//[a-z]|@import", html)
    for _, attrs in Page(html).elements:
        for name in ("src", "href", "xlink:href"):
            assert re.match("#|data:image/png;base64,", attrs.get(name) or "#")
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)]*)\)", html))
