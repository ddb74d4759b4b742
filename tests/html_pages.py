"""Read a page of HTML into a tree, to ask what stands in it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "img", "br", "hr", "input"}
# What SVG closes by itself in the page.
ALONE = {"line", "rect", "circle", "path", "polyline", "polygon"}


class Node:
    """An element: its tag, its attributes, and what lies in it (elements and texts)."""

    def __init__(self, tag, attributes):
        self.tag = tag
        self.attributes = dict(attributes)
        self.children = []

    def __getitem__(self, name):
        return self.attributes[name]

    def get(self, name, default=None):
        return self.attributes.get(name, default)

    @property
    def classes(self):
        return self.get("class", "").split()

    @property
    def text(self):
        """All text in it, but for styles and scripts, with single spaces."""
        parts = [
            each if isinstance(each, str) else each.text
            for each in self.children
            if isinstance(each, str) or each.tag not in ("style", "script")
        ]
        return " ".join(" ".join(parts).split())

    def every(self, tag=None, of_class=None):
        """Return all elements below, of a tag or of a class, in their order."""
        found = []
        for child in self.children:
            if isinstance(child, str):
                continue
            if tag in (None, child.tag) and (of_class is None or of_class in child.classes):
                found.append(child)
            found += child.every(tag, of_class)
        return found

    def first(self, tag=None, of_class=None):
        return self.every(tag, of_class)[0]

    def by_id(self, name):
        (found,) = [each for each in self.every() if each.get("id") == name]
        return found

    def table(self, caption):
        """Return the texts of the cells of the table whose caption begins so, row by row."""
        (found,) = [
            each for each in self.every("table") if each.first("caption").text.startswith(caption)
        ]
        return [
            [cell.text for cell in row.every() if cell.tag in ("th", "td")]
            for row in found.every("tr")
        ]


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = Node("", ())
        self.open = [self.root]

    def handle_starttag(self, tag, attributes):
        node = Node(tag, attributes)
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attributes):
        assert tag in ALONE | VOID, f"<{tag}/>"
        self.open[-1].children.append(Node(tag, attributes))

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def read_page(path):
    """Return the tree of a page; a tag that is closed in the wrong place is an error."""
    reader = _Reader()
    reader.feed(Path(path).read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == [reader.root]
    return reader.root
