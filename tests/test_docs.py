"""The site builds from all pages, links lead somewhere, nothing comes from outside, and a browser finds its way."""
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from conftest import ROOT

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    "Build the site once: nbdev processes all pages, Sphinx fails on any warning."
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run([sys.executable, str(ROOT / "docs/build.py"), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


class Page(HTMLParser):
    "What a page links to, what it loads, and which places it has."
    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids, self.style = [], [], set(), False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.update(given[name] for name in ("id", "name") if given.get(name))
        if tag == "a" and given.get("href"): self.links.append(given["href"])
        if tag in ("img", "script", "iframe", "source", "video") and given.get("src"): self.loads.append(given["src"])
        if tag == "link" and given.get("href") and given.get("rel") not in ("index", "search", "next", "prev", "author", "canonical"): self.loads.append(given["href"])


@pytest.fixture(scope="session")
def parsed(site): return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def outside(link): return re.match(r"(https?:)?//", link) is not None


def test_links_lead_somewhere(parsed):
    "Each link within the site leads to a file, and to a place in it."
    broken = []
    for path, page in parsed.items():
        for link in page.links + page.loads:
            if outside(link) or link.startswith(("mailto:", "data:")) or link in ("#", "#top"): continue
            target, place = urldefrag(unquote(link))
            file = (path.parent / target.partition("?")[0]).resolve() if target else path
            if not file.exists() or place and file.suffix == ".html" and file in parsed and place not in parsed[file].ids: broken.append(f"{path.name}: {link}")
    assert broken == []


def test_nothing_is_loaded_from_outside(site, parsed):
    "No script, style, font or picture comes from another host, not from the styles either."
    assert [f"{path.name}: {link}" for path, page in parsed.items() for link in page.loads if outside(link)] == []
    assert [path.name for path in site.rglob("*.css") if re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8"))] == []


def test_no_page_has_a_name_that_sphinx_takes():
    "Sphinx writes `search.html` and `genindex.html` itself; a page of ours by such a name would be gone."
    assert not {"search.ipynb", "genindex.ipynb"} & {path.name for path in (ROOT / "nbs").glob("*.ipynb")}


def test_every_page_leads_on(parsed, site):
    "Each page of the story has the sidebar, and a link to the next page or the one before."
    for path, page in parsed.items():
        if path.name in ("search.html", "genindex.html") and path.parent == site: continue
        assert 'class="left-prev"' in (html := path.read_text(encoding="utf-8")) or 'class="right-next"' in html, path.name
        assert len(set(page.links)) > 50, f"{path.name} has no sidebar"


def test_functions_and_dataclasses_have_tables(site):
    "The comment of each parameter stands in a table, inherited fields too, and formulas are MathML."
    def cells(name): return re.sub(r"<[^>]+>", " ", (site / name).read_text(encoding="utf-8"))
    assert re.search(r"max_identity\s+float\s+0\.5\s+sequences of different splits stay below this identity", cells("train.html"))
    assert re.search(r"verify\s+True\s+compare all files with SHA256SUMS", cells("saved.html"))
    assert "relatives" in cells("find.html")
    assert "<math" in (site / "losses.html").read_text(encoding="utf-8") and "#|" not in cells("losses.html")


@pytest.mark.timeout(120)
def test_a_reader_clicks_and_searches(site):
    "In a browser, from the disk: the sidebar leads to the losses, where formulas are drawn; a search finds the certificate. No request leaves the machine."
    pytest.importorskip("playwright", reason="playwright is not installed: pip install playwright")
    if CHROMIUM is None: pytest.skip("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--allow-file-access-from-files"])
        page, asked, errors = browser.new_page(viewport=dict(width=1400, height=900)), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"file://{site}/index.html")
        assert page.locator("img").first.evaluate("picture => picture.naturalWidth") > 0
        page.locator("nav.bd-links a", has_text="Losses").first.click()
        page.wait_for_url("**/losses.html")
        assert page.locator("math").first.bounding_box()["height"] > 5
        page.goto(f"file://{site}/search.html?q=certificate")
        page.locator("ul.search li a").first.wait_for(timeout=20_000)
        assert "certificate" in " ".join(page.locator("ul.search li a").all_inner_texts()).lower()
        browser.close()
    assert [url for url in asked if not url.startswith(("file://", "data:", "blob:"))] == [] and errors == []
