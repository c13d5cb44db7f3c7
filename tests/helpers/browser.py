"""A page, opened in headless Chromium."""

import time
import unittest
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.report.images import headless_browser

_LOGS = {"browser": "ALL", "performance": "ALL"}

INK_PIXELS = """
const found = (root) => [...root.querySelectorAll("*")].flatMap(
  (e) => [...(e.matches("{part}") ? [e] : []), ...(e.shadowRoot ? found(e.shadowRoot) : [])])
return [...document.querySelectorAll(".plot")].filter((plot) => found(plot).some((canvas) => {{
  if (!canvas.width || !canvas.height) return false
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
  return pixels.some((value, i) => i % 4 === 3 && value > 0 && pixels[i - 3] < 200)
}})).length
"""


class PageTestCase(tf.test.TestCase):
    """A browser for all tests of a class, which sets ``path`` to the page."""

    driver: Any
    path: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        try:
            cls.driver = cls.enterClassContext(headless_browser({"goog:loggingPrefs": _LOGS}))
        except InputError as error:
            raise unittest.SkipTest(str(error)) from error

    def open(self, width: int, scheme: str) -> None:
        """Load the page at a width, in a colour scheme, and wait until its figures are drawn."""
        emulate = self.driver.execute_cdp_cmd
        emulate("Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})  # fmt: skip
        emulate("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(self.path.as_uri())
        self.wait_until("document.body.dataset.drawn === 'true'")

    def wait_until(self, condition: str) -> None:
        """Wait until a JavaScript expression holds."""
        deadline = time.monotonic() + 60
        while not self.script(f"return {condition}"):
            self.assertLess(time.monotonic(), deadline, condition)
            time.sleep(0.05)

    def script(self, code: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns on the page."""
        return self.driver.execute_script(code, *arguments)
