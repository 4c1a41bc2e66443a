"""Installs what `make test-browser` needs: the package playwright, of the extra `browser`, and a Chromium for it.

Usage, with the virtual environment's own interpreter: python tools/setup_browser.py

Takes: TENSORLOGIC_CHROMIUM (optional), the path of a Chromium or Chrome. Else one that is on PATH is taken, else the
one that Playwright downloads into the user's cache, else Debian's package, which root alone may install.

Promises: when the status is 0, `find_chromium` finds one. What is there already costs a second. Refuses, with one
message that says what was tried and status 1, a machine for which no browser can be had.

It needs the standard library and pip alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
VARIABLE = "TENSORLOGIC_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FOR_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
APT = "apt-get install --yes --no-install-recommends chromium"
HELP = f"install Chromium or Chrome (on Debian: {APT}), or name one: {VARIABLE}=/path/to/chromium make test-browser"


class Missing(Exception):
    """What could not be had, and why."""


def find_chromium(environment: Mapping[str, str] = os.environ) -> str | None:
    """The path of the browser that the tests drive."""
    named = environment.get(VARIABLE)
    if named:
        return named if os.access(named, os.X_OK) else None
    found = (shutil.which(name, path=environment.get("PATH")) for name in NAMES)
    on_mac = str(FOR_MAC) if FOR_MAC.exists() else None
    return next((path for path in found if path), None) or on_mac or _downloaded()


def _downloaded() -> str | None:
    """The one that Playwright keeps for this version of it."""
    if find_spec("playwright") is None:
        return None
    # In a process of its own: the library wants an event loop for itself.
    code = "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    path = done.stdout.strip()
    return path if not done.returncode and os.access(path, os.X_OK) else None


def requirements(project: Path) -> list[str]:
    """Those of the extra `browser`."""
    found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]["browser"]
    return [str(each) for each in found]


def install_playwright() -> None:
    """Raises Missing."""
    wanted = requirements(PROJECT)
    print(f"Installing {', '.join(wanted)}.", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "5"]
    why = _failure([*command, *wanted])
    if why is not None:
        raise Missing(f"pip could not install {', '.join(wanted)}: {why}")


def install_chromium() -> str:
    """The path of one that was installed now. Raises Missing."""
    tried = []
    for commands in _ways():
        print(f"Installing a Chromium: {' '.join(commands[-1])}", flush=True)
        why = next((why for command in commands if (why := _failure(command)) is not None), None)
        path = find_chromium()
        if path is not None:
            return path
        tried.append(f"{' '.join(commands[-1])}: {why or 'it left none behind'}")
    raise Missing("\n  ".join(["no Chromium could be had", *tried]))


def _ways() -> list[list[list[str]]]:
    ways = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        ways.append([["apt-get", "update"], APT.split()])
    return ways


def _failure(command: Sequence[str]) -> str | None:
    """None, or the last error that a command told."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if not done.returncode:
        return None
    said = [line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()]
    errors = (line for line in said if line.lower().startswith(("error", "e:")))
    return next(errors, said[0] if said else f"status {done.returncode}")


def main() -> int:
    """Returns the exit status."""
    try:
        named = os.environ.get(VARIABLE)
        if named and find_chromium() is None:
            raise Missing(f"{VARIABLE} names {named}, which is no program")
        if find_spec("playwright") is None:
            install_playwright()
        path = find_chromium() or install_chromium()
    except Missing as missing:
        print(f"error: {missing}\n  help: {HELP}", file=sys.stderr)
        return 1
    print(f"The browser is {path}.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
