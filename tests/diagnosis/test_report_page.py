"""The HTML page: complete, self-contained, harmless, and true to the diagnosis."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import example_verdicts
import pytest
from plotly.offline import get_plotlyjs

from sevenfold.diagnosis.report import write_report
from sevenfold.diagnosis.report.page import page, split_sentence
from sevenfold.diagnosis.result import Diagnosis

VOID = {"meta", "circle", "path", "br", "img", "link", "input", "hr"}


class Reader(HTMLParser):
    """Elements with attributes, the text outside scripts and styles, and the scripts by id."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.pieces: list[str] = []
        self.headings: list[str] = []
        self._open: list[tuple[str, str]] = []
        self.feed(html.replace(get_plotlyjs(), ""))  # five megabytes that are not ours
        self.close()
        assert self._open == []  # every element is closed

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag not in VOID:
            self._open.append((tag, found.get("id") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tag, name = self._open[-1] if self._open else ("", "")
        if tag == "script":
            self.scripts[name] = self.scripts.get(name, "") + data
        elif tag != "style":
            self.pieces.append(data)
            if any(tag == "h1" for tag, _ in self._open):
                self.headings.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def strings(node: Any) -> Iterator[str]:
    """Every text inside JSON-like data."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[Diagnosis, str, Reader]]:
    built = {name: builder() for name, builder in example_verdicts.ALL.items()}
    html = {name: page(diagnosis) for name, diagnosis in built.items()}
    return {name: (built[name], html[name], Reader(html[name])) for name in built}


Pages = dict[str, tuple[Diagnosis, str, Reader]]


@pytest.mark.parametrize("name", example_verdicts.ALL)
def test_asks_nothing_of_any_network(pages: Pages, name: str) -> None:
    _, html, reader = pages[name]
    policy = [a["content"] or "" for a in reader.tags("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policy) == 1
    assert "default-src 'none'" in policy[0]
    assert "http" not in policy[0]
    for tag, attributes in reader.elements:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base", "form", "audio", "video", "source")
        assert not {"src", "href", "srcset", "action", "background", "poster", "xlink:href"} & set(attributes)
        assert not any(key.startswith("on") for key in attributes)
        assert "url(" not in (attributes.get("style") or "")
    style = re.findall(r"<style>(.*?)</style>", html, re.S)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]
    assert len(re.findall(r"plotly\.js v\d", html)) == 1  # one copy


def test_a_hostile_name_is_text(pages: Pages) -> None:
    diagnosis, html, reader = pages["hostile"]
    scripts = reader.tags("script")
    assert len(scripts) == 4  # two of data, plotly, ours
    assert "<script>alert" not in html
    assert "<img" not in html
    assert example_verdicts.HOSTILE in reader.text
    assert json.loads(reader.scripts["diagnosis"]) == diagnosis.to_dict()
    assert "<" not in reader.scripts["figures"]
    # Plotly reads a little HTML in its texts: only what we wrote ourselves may be any.
    foreign = re.compile(r"<(?!/?(?:b|br|sup|extra)>)")
    assert not [text for text in strings(json.loads(reader.scripts["figures"])) if foreign.search(text)]
    titles = [a["data-copy"] or "" for a in reader.tags("button") if "data-copy" in a]
    assert any("alert(2)" in title for title in titles)  # the command is whole, and only an attribute's text


@pytest.mark.parametrize("name", example_verdicts.ALL)
def test_charts_have_their_data(pages: Pages, name: str) -> None:
    _, _, reader = pages[name]
    figures = json.loads(reader.scripts["figures"])
    places = [a["data-figure"] for a in reader.tags("div") if "data-figure" in a]
    assert sorted(figures) == sorted(p or "" for p in places)
    for figure in figures.values():
        for trace in figure["data"]:
            assert len(trace["x"]) == len(trace["y"]) > 0
            for side in ("error_x", "error_y"):
                if side in trace:
                    assert all(value >= -1e-12 for value in trace[side]["array"] + trace[side]["arrayminus"])
            assert len(trace.get("customdata", trace["x"])) == len(trace["x"])


def test_colour_names_are_known_to_the_style(pages: Pages) -> None:
    _, html, reader = pages["data_binds"]

    used = {
        text[1:].split("/")[0] for text in strings(json.loads(reader.scripts["figures"])) if text.startswith("@")
    }
    assert {"hard", "lever", "accent", "ink"} <= used
    light = re.search(r":root \{(.*?)\}", html, re.S)
    assert light is not None
    for name in used:
        assert f"--{name}:" in light[1]


def test_tells_the_verdict_first(pages: Pages) -> None:
    for name, badge in (
        ("data_binds", "data binds P(best) 96%"),
        ("tie", "a tie within the noise"),
        ("nothing_binds", "nothing binds"),
    ):
        diagnosis, _, reader = pages[name]
        assert badge in reader.text
        headline = " ".join("".join(reader.headings).replace("\u00a0", " ").split())
        assert diagnosis.sentence.startswith(headline.removesuffix("."))


def test_every_row_says_its_numbers_method_and_evidence(pages: Pages) -> None:
    for name in ("data_binds", "troubled"):
        diagnosis, _, reader = pages[name]
        text = reader.text.replace("\u00a0", " ").replace("\u2212", "-")
        for row in diagnosis.constraints.values():
            assert row.why[1:] in text
            assert row.method in text
            assert all(run in text for run in row.evidence)
            assert all(amount.text in text for amount in (row.limit, row.usage) if amount)
        assert all(meaning in text for meaning in ("by probe runs on this machine", "an extrapolation"))
    text = pages["data_binds"][2].text.replace("\u00a0", " ").replace("\u2212", "-")
    for shown in ("0.023 ± 0.006", "-0.002 ± 0.005", "0.118 ± 0.006 nats", "if it were active", "66%"):
        assert shown in text
    assert "failed: the loss became NaN at step 12" in pages["troubled"][2].text


def test_commands_can_be_copied(pages: Pages) -> None:
    copies = [a["data-copy"] for a in pages["data_binds"][2].tags("button") if "data-copy" in a]
    assert "sevenfold train digits-cnn --set steps=800" in copies
    assert "sevenfold train digits-cnn --set optimizer.lr=0.002 --set optimizer.weight_decay=0.1" in copies


def test_provenance_is_there(pages: Pages) -> None:
    text = pages["data_binds"][2].text
    for fact in (
        "CC BY 4.0",
        "9f1d2a0b6f0e",
        "2.13.0+cpu",
        "SHA-256",
        "scikit-learn's bundled copy",
        "8 GB",
        "4 min",
    ):
        assert fact in text
    assert all(name in text for name in ("How it was measured", "What to do, in order", "The seven constraints"))


def test_no_effects_at_all_is_still_a_page() -> None:
    base = example_verdicts.troubled()
    rows = {
        name: row.model_copy(
            update={"shadow_price": None, "headroom": None, "interval": None, "points": [], "fit": None}
        )
        for name, row in base.constraints.items()
    }
    bare = base.model_copy(
        update={"constraints": rows, "binding": [], "advice": [], "curves": [], "roofline": None}
    )
    text = Reader(page(bare)).text
    assert "No row has an effect" in text
    assert "no verdict" in text
    assert "nothing binds" not in text.split("How it was measured")[0]
    assert "No effect was measured, so there is nothing to advise." in text


def test_split_sentence() -> None:
    assert split_sentence("Nothing binds at this size.") == ("Nothing binds at this size", "")
    assert split_sentence("Data binds: 0.03 nats; first pull.") == ("Data binds: 0.03 nats", "First pull.")
    assert split_sentence("Data and compute tie: 0.03 nats; pull.", True) == (
        "Data and compute tie",
        "0.03 nats; pull.",
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data_binds", "hostile", "huge", "troubled"])
def test_a_browser_draws_every_chart(name: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser")
    path = write_report(example_verdicts.ALL[name](), tmp_path / "report.html")
    done = subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", "--dump-dom",
         f"--user-data-dir={tmp_path}/profile", path.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    wanted = len(re.findall(r'data-figure="', done.stdout))
    assert wanted >= 3
    assert len(re.findall(r'class="plot js-plotly-plot"', done.stdout)) == wanted
    assert "alert(1)</script>" not in done.stdout
