"""A Dagster webserver over a refreshed installation, and a browser to look at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from referral_pipeline.orchestration.instance import dagster_home
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.pipeline.conftest import Installation, installed

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; in CI its absence is a failure, elsewhere a skip with the reason."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("REFERRAL_PIPELINE_BROWSER_TESTS") == "required":
            pytest.fail("no Chromium found, and the browser tests are required here: apt-get install chromium")
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="package")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation after one refresh. Not kept for the session: its environment would be that of later tests."""
    with pytest.MonkeyPatch.context() as patch, Sandbox(size=ProgrammeSize.small()) as sandbox:
        installation = installed(tmp_path_factory.mktemp("browser") / "home", sandbox, patch)
        assert installation.refresh().success
        yield installation


@pytest.fixture(scope="package")
def webserver(chromium: str, refreshed: Installation) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **refreshed.environment, "DAGSTER_HOME": str(dagster_home(refreshed.settings))}
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    log = (refreshed.home / "webserver.log").open("wb")
    process = subprocess.Popen(
        [*command, "-m", "referral_pipeline.definitions"], env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                if requests.get(f"{url}/server_info", timeout=2).ok:
                    break
            except requests.RequestException:
                pass
            assert process.poll() is None, (refreshed.home / "webserver.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the webserver did not start in 90 s"
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: REFERRAL_PIPELINE_SCREENSHOTS, else a temporary folder."""
    wanted = os.environ.get("REFERRAL_PIPELINE_SCREENSHOTS")
    folder = Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
