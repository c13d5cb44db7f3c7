"""A page, opened in headless Chromium."""

import importlib
import importlib.util
import shutil
import time
import unittest
from pathlib import Path
from typing import Any

import tensorflow as tf

INK_PIXELS = """
const found = (root) => [...root.querySelectorAll("*")].flatMap(
  (e) => [...(e.matches("{part}") ? [e] : []), ...(e.shadowRoot ? found(e.shadowRoot) : [])])
return [...document.querySelectorAll(".plot")].filter((plot) => found(plot).some((canvas) => {{
  if (!canvas.width || !canvas.height) return false
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
  return pixels.some((value, i) => i % 4 === 3 && value > 0 && pixels[i - 3] < 200)
}})).length
"""


def _driver() -> Any:
    """Headless Chromium, or a reason to skip."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if importlib.util.find_spec("selenium") is None or not chromium or not driver:
        raise unittest.SkipTest("needs selenium, chromium and chromedriver")
    webdriver: Any = importlib.import_module("selenium.webdriver")
    service: Any = importlib.import_module("selenium.webdriver.chrome.service")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--no-first-run",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=service.Service(driver))


class PageTestCase(tf.test.TestCase):
    """A browser for all tests of a class, which sets ``path`` to the page."""

    driver: Any
    path: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.driver = _driver()
        cls.addClassCleanup(cls.driver.quit)

    def open(self, width: int, scheme: str) -> None:
        """Load the page at a width, in a colour scheme, and wait until its figures are drawn."""
        emulate = self.driver.execute_cdp_cmd
        emulate("Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})  # fmt: skip
        emulate("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(self.path.as_uri())
        deadline = time.monotonic() + 30
        while self.script("return document.body.dataset.drawn") != "true":
            self.assertLess(time.monotonic(), deadline, "the figures were not drawn")
            time.sleep(0.05)

    def script(self, code: str) -> Any:
        """What a piece of JavaScript returns on the page."""
        return self.driver.execute_script(code)
