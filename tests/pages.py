"""Whether a page of HTML can be read: well formed, complete without network, with headers and words for pictures.

What is checked is what readers notice: browsers mend the rest each in its own way.
"""

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = {"meta", "br", "hr", "img", "source", "input", "col", "wbr"}
_FETCHED = {"script", "link", "iframe", "object", "embed", "base"}
_HREF = "{http://www.w3.org/1999/xlink}href"


class Reader(HTMLParser):
    """Reads a page, and keeps what `faults_of` looks at."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.faults = [], []
        self.ids, self.references, self.headings, self.tables = [], [], [], []
        self.images, self.seen, self.title, self.language, self.styles = [], set(), "", None, ""

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if len(named) < len(attributes):
            self.faults.append(f"<{tag}> at line {self.getpos()[0]} has an attribute twice")
        self.seen.add(tag)
        if tag in _FETCHED:
            self.faults.append(f"<{tag}> runs or fetches something")
        self.faults += [f"<{tag}> runs {name}" for name in named if name.startswith("on")]
        if "id" in named:
            self.ids.append(named["id"])
        self.references += [named[name] for name in ("href", "src", "poster", "data") if name in named]
        self.references += [one.strip().split(" ")[0] for one in [named.get("srcset", "")] if one]
        if tag == "html":
            self.language = named.get("lang")
        if tag == "img":
            self.images.append(named.get("alt", ""))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])
        if tag == "table":
            self.tables.append({"header": [], "rows": []})
        if tag == "tr" and self.tables:
            self.tables[-1]["rows"].append(0)
        if tag in ("th", "td") and self.tables:
            self.tables[-1]["rows"][-1] += int(named.get("colspan", 1))
            if tag == "th":
                self.tables[-1]["header"].append(named.get("scope"))
        if tag not in VOID:
            self.open.append((tag, self.getpos()[0]))

    def handle_endtag(self, tag):
        if tag in VOID:
            self.faults.append(f"</{tag}> closes what is never open")
        elif not self.open or self.open[-1][0] != tag:
            inside = self.open[-1] if self.open else "nothing"
            self.faults.append(f"</{tag}> at line {self.getpos()[0]} stands inside {inside}")
        else:
            self.open.pop()

    def handle_data(self, data):
        tag = self.open[-1][0] if self.open else ""
        if any(re.fullmatch("h[1-6]", one) for one, _ in self.open):
            self.headings[-1][1] += data
        if tag == "title":
            self.title += data
        if tag == "style":
            self.styles += data
        elif "\ufffd" in data or re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", data):
            self.faults.append(f"{data[:40]!r} holds a character that no one can read")
        elif re.search(r"(?<![\w.])(nan|inf|None)(?![\w.])", data) and tag in ("td", "th", "figcaption"):
            self.faults.append(f"<{tag}> says {data[:40]!r}")


def faults_of(text):
    """Return what is wrong with a page, a sentence each."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    faults = [*reader.faults, *(f"<{tag}> of line {line} is never closed" for tag, line in reader.open)]
    if not text.lower().startswith("<!doctype html>") or '<meta charset="utf-8">' not in text.lower():
        faults.append("the page says neither that it is HTML nor its encoding")
    faults += [
        f"the page has no {name}"
        for name, found in (("title", reader.title.strip()), ("language", reader.language))
        if not found
    ]
    if not {"main", "header"} <= reader.seen:
        faults.append("the page has no landmarks")
    faults += [f"the id {one!r} is there twice" for one in {one for one in reader.ids if reader.ids.count(one) > 1}]
    for one in reader.references:
        faults += _reference_faults(one, reader.ids)
    if re.search(r"@import|url\((?!['\"]?(data:|#))", reader.styles):
        faults.append("a style fetches something")
    levels = [level for level, _ in reader.headings]
    if levels[:1] != [1] or levels.count(1) != 1:
        faults.append(f"headings are of the levels {levels[:3]} …; expected one of level 1 first")
    faults += [
        f"the heading {word!r} skips a level"
        for before, (level, word) in zip(levels, reader.headings[1:], strict=False)
        if level > before + 1
    ]
    faults += [f"a heading of level {level} is empty" for level, word in reader.headings if not word.strip()]
    faults += ["a picture has no words for those who cannot see it" for alt in reader.images if not alt.strip()]
    for number, table in enumerate(reader.tables, 1):
        if not table["header"] or None in table["header"]:
            faults.append(f"table {number} has a header without a scope, or none")
        if len(set(table["rows"])) > 1:
            faults.append(f"table {number} has rows of {sorted(set(table['rows']))} cells")
    return faults


def _reference_faults(reference, ids):
    if reference.startswith("#"):
        return [] if reference[1:] in ids else [f"{reference} leads nowhere"]
    if not reference.startswith("data:image/"):
        return [f"{reference[:60]} is not in the page"]
    head, _, body = reference.partition(",")
    if "svg" not in head:
        return []
    return _picture_faults(base64.b64decode(body).decode())


def _picture_faults(svg):
    """What is wrong with a picture: it fetches something, or uses what is not in it."""
    root = ElementTree.fromstring(svg)
    ids, faults = [one.get("id") for one in root.iter() if one.get("id")], []
    if root.get("viewBox") is None:
        faults.append("a picture has no view box, so it does not shrink")
    if len(ids) > len(set(ids)):
        faults.append("a picture has an id twice")
    for one in root.iter():
        used = [one.get("href"), one.get(_HREF)]
        used += re.findall(r"url\(['\"]?([^)'\"]+)", " ".join(str(value) for value in one.attrib.values()))
        for reference in filter(None, used):
            if reference.startswith("#") and reference[1:] not in ids:
                faults.append(f"{reference} is not in its picture")
            elif not reference.startswith(("#", "data:")):
                faults.append(f"a picture fetches {reference[:60]}")
    if "<script" in svg:
        faults.append("a picture runs a script")
    return faults
