"""Built pages in a real browser: no script errors, and nothing wider than a phone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HTML = ROOT / "_build" / "html"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = [
    pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine"),
    pytest.mark.skipif(not (HTML / "index.html").exists(), reason="no book yet: make book"),
]

# Every page in a frame of a phone's or a desktop's width; what is found lands in the document.
LOOK = """<!doctype html><body><pre id="found"></pre><script>
const pages = %s, width = %d, found = {};
for (const page of pages) {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px"; frame.style.height = "900px"; frame.src = page;
  frame.onload = () => setTimeout(() => {
    const root = frame.contentDocument.documentElement;
    const article = frame.contentDocument.querySelector("article");
    const broken = [...frame.contentDocument.images].filter(i => i.complete && !i.naturalWidth);
    found[page] = {
      wide: root.scrollWidth - width, text: article ? article.innerText.trim().length : 0,
      broken: broken.map(i => i.src.slice(0, 80)),
      math: frame.contentDocument.querySelectorAll(".math").length,
      set: frame.contentDocument.querySelectorAll("mjx-container").length,
    };
    document.getElementById("found").textContent = JSON.stringify(found);
  }, 3000);
  document.body.append(frame);
}
</script>"""


def look(folder, width):
    """What the browser finds on every page: {page: facts}, and what its console said."""
    names = [p for p in sorted(HTML.glob("*.html")) if p.stem not in ("genindex", "search")]
    page = folder / "look.html"
    page.write_text(LOOK % (json.dumps([p.as_uri() for p in names]), width))
    flags = ["--headless", "--no-sandbox", "--disable-web-security", "--virtual-time-budget=30000"]
    flags += [
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        f"--user-data-dir={folder}",
    ]
    done = subprocess.run(
        [BROWSER, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=240
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "rror" in line]
    return json.loads(found[1]), [line for line in said if "net::ERR" not in line], len(names)


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_render(tmp_path, width):
    found, errors, count = look(tmp_path, width)
    assert len(found) == count, "a page did not load"
    assert not errors
    for page, facts in found.items():
        name = page.rsplit("/", 1)[-1]
        assert facts["wide"] <= 0, f"{name} is {facts['wide']} px too wide at {width}"
        assert facts["text"] > 100, f"{name} is empty"
        assert not [src for src in facts["broken"] if not src.startswith("http")], name
        assert facts["set"] >= (facts["math"] > 0), f"{name}: formulas were not set"
