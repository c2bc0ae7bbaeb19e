"""The pages in a real browser: the first password, signing in and out, what the gateway does."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from tests.support.processes import Gateway

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
LIMIT_S = 20
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    driver, program = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or program is None:
        if os.environ.get("OMNIROUTE_TEST_REQUIRE_SERVICES") == "1":
            raise AssertionError("Chromium is not installed; run .ci/services")
        pytest.skip("Chromium is not installed")
    options = ChromeOptions()
    options.binary_location = program
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path / 'browser'}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = Chrome(options=options, service=Service(driver))
    yield window
    window.quit()


def seen(browser: Chrome, selector: str, text: str) -> None:
    """Wait until something on the page says a text."""
    WebDriverWait(browser, LIMIT_S).until(
        lambda page: any(text in one.text for one in page.find_elements(By.CSS_SELECTOR, selector)),
        f"{text!r} in {selector}",
    )


def typed(browser: Chrome, **fields: str) -> None:
    """Fill in a form and send it."""
    for name, text in fields.items():
        field = browser.find_element(By.ID, name)
        field.clear()
        field.send_keys(text)
    browser.find_element(By.CSS_SELECTOR, "form button").click()


def test_from_the_first_steps_to_signing_out(browser: Chrome, tmp_path: Path) -> None:
    with Gateway(tmp_path / "data") as gateway, httpx.Client(base_url=gateway.url) as client:
        said = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}]}
        client.post("/v1/chat/completions", json=said).raise_for_status()
        nasty = "<img src=x onerror=alert(1)>"
        client.post("/v1/chat/completions", json={**said, "model": nasty})

        browser.get(gateway.url)
        seen(browser, "#status", "healthy")
        seen(browser, "#calls td", "demo/echo")
        seen(browser, "#calls td", nasty)
        assert not browser.find_elements(By.TAG_NAME, "img")

        browser.find_element(By.ID, "protect").click()
        seen(browser, "h1", "A password for OmniRoute")
        typed(browser, password=PASSWORD, again="something else")
        seen(browser, "[role=alert]", "not the same")
        typed(browser, password=PASSWORD, again=PASSWORD)
        seen(browser, "#status", "healthy")
        assert client.get("/api/combos").status_code == 401

        browser.find_element(By.ID, "leave").click()
        seen(browser, "form h1", "OmniRoute")
        browser.get(f"{gateway.url}/dashboard")
        assert browser.current_url == f"{gateway.url}/login"
        typed(browser, password="a guess")
        seen(browser, "[role=alert]", "The password is wrong.")
        typed(browser, password=PASSWORD)
        seen(browser, "#requests", "1")
        complaints = [
            line["message"]
            for line in browser.get_log("browser")  # type: ignore[no-untyped-call]
            if line["level"] == "SEVERE" and "401" not in line["message"]
        ]
    assert [one for one in complaints if "favicon" not in one] == []
