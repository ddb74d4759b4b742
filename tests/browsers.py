"""Open pages in a headless Chromium, where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from html_pages import read_page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# A window of a browser cannot be as narrow as a phone; a frame can. The page in it tells what is
# asked, and the page around it writes that down, where --dump-dom shows it.
AROUND = """<!DOCTYPE html><title>around</title>
<iframe src="{page}" style="width:{width}px;height:{height}px;border:0"></iframe>
<script>
addEventListener("message", (event) => (document.documentElement.dataset.found = event.data));
</script>"""
ASK = """<script>
addEventListener("load", async () => {{
  let found;
  try {{ found = await (async () => {{ {script} }})(); }} catch (error) {{ found = String(error); }}
  parent.postMessage(JSON.stringify(found), "*");
}});
</script>"""


class Browser:
    """A headless Chromium with a profile of its own.

    Attributes
    ----------
    errors : list of str
        What the consoles of the pages complained of.
    """

    def __init__(self, program, folder):
        self.program = program
        self.folder = Path(folder)
        self.errors = []

    def run(self, page, *flags, width=1280, height=900):
        done = subprocess.run(
            [
                self.program, "--headless=new", "--no-sandbox", "--disable-gpu",
                "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=4000",
                f"--user-data-dir={self.folder / 'profile'}", f"--window-size={width},{height}",
                *flags, Path(page).resolve().as_uri(),
            ],
            capture_output=True, text=True, timeout=180, check=True,
        )  # fmt: skip
        self.errors += re.findall(r"CONSOLE[^\]]*\] (.*)", done.stderr)
        return done.stdout

    def screenshot(self, page, width, height, *flags):
        """Return what the page looks like: floats of shape (height, width, 3)."""
        from drawn_panels import read

        file = self.folder / "screenshot.png"
        file.unlink(missing_ok=True)
        self.run(page, f"--screenshot={file}", *flags, width=width, height=height)
        return read(file)

    def ask(self, page, script, width=1280, height=900):
        """Return what JavaScript, the body of an async function, returns in the loaded page."""
        asking, around, dumped = (
            self.folder / f"{name}.html" for name in ("asking", "around", "dumped")
        )
        text = Path(page).read_text(encoding="utf-8")
        asked = ASK.format(script=script)
        asking.write_text(text.replace("</body>", asked + "</body>"), encoding="utf-8")
        around.write_text(AROUND.format(page=asking.name, width=width, height=height))
        dumped.write_text(self.run(around, "--dump-dom", width=width + 40), encoding="utf-8")
        return json.loads(read_page(dumped).first("html")["data-found"])


def find_browser(folder):
    """Return a browser that keeps its things in a folder; the test is skipped without one."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no {', '.join(NAMES)} is found on PATH")
    return Browser(program, folder)
