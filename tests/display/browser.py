"""Opening pages in headless Chromium."""

import json
import shutil
import socket
import subprocess
import threading

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PATH = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    _PATH is None, reason=f"no browser is installed: none of {', '.join(NAMES)} is on the PATH"
)
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
)


def dumped_dom(page, folder, *flags):
    """Return the page as the browser holds it after its scripts have run."""
    done = subprocess.run(
        [_PATH, *_QUIET, f"--user-data-dir={folder}", *flags, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def requests_of_the_page(page, folder):
    """Return the addresses that a page itself asks for.

    All requests end at a proxy on this machine that answers nothing. The browser's own, for its
    updates, have no origin in its log, while a page's have that of the page.
    """
    log = folder.with_suffix(".netlog")
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        threading.Thread(target=_hang_up_on_all, args=(proxy,), daemon=True).start()
        flags = (
            f"--proxy-server=127.0.0.1:{proxy.getsockname()[1]}",
            "--proxy-bypass-list=<-loopback>",
        )
        dumped_dom(page, folder, *flags, f"--log-net-log={log}")
    events = json.loads(log.read_text("utf-8"))["events"]
    started = [event.get("params", {}) for event in events]
    return sorted(
        {
            params["url"]
            for params in started
            if "url" in params and params.get("initiator", "not an origin") != "not an origin"
        }
    )


def _hang_up_on_all(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.close()
