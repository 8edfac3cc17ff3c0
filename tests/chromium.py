"""A Chromium for the tests of the page: the one that Playwright downloads, or the system's.

``python -m tests.chromium MARKER`` downloads one if none starts, and writes the marker if one does then.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from tests.needs import NEEDS, need

UNWANTED = (
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxPopup",
)
"""What no test looks at: beside what Playwright leaves out (its list counts no more where there is another one), the
windows of an address bar that nobody sees, for which each page would start two further processes."""


class Unavailable(Exception):
    """None starts; the message says why, and what to do."""


@contextmanager
def started() -> Iterator[Browser]:
    """Start the first that starts. Raises ``Unavailable``."""
    (node,) = need("node")  # the one in Playwright's wheel wants a library that small systems have not
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = node
    with sync_playwright() as playwright:
        browser = _start(playwright)
        yield browser
        browser.close()


def _start(playwright: Playwright) -> Browser:
    reason = NEEDS["chromium"].remedy
    for program in (None, *(NEEDS["chromium"].find() or ())):
        try:
            options = ["--no-sandbox", f"--disable-features={','.join(UNWANTED)}"]
            return playwright.chromium.launch(executable_path=program, args=options)
        except Error as error:
            if "Executable doesn't exist" not in error.message:
                reason = _why(error.message)
    raise Unavailable(reason)


def _why(said: str) -> str:
    """Return in a line what an error of many lines says."""
    if "missing dependencies" in said or "error while loading shared libraries" in said:
        return f"the one that Playwright downloads lacks libraries here: {NEEDS['chromium'].remedy}"
    return said.strip().partition("\n")[0]


def main(marker: str) -> None:
    """Have one, or say that there is none."""
    download = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    for is_last in (False, True):
        try:
            with started():
                Path(marker).touch()
            return
        except Unavailable as unavailable:
            if is_last:
                print(f"the tests of the web page will not run: no Chromium ({unavailable})", file=sys.stderr)
            else:
                print("downloading Chromium, for the tests of the web page", flush=True)
                subprocess.run(download, capture_output=True, check=False)  # whether it starts then tells more


if __name__ == "__main__":
    main(sys.argv[1])
