"""The report and its figures as files, for papers, drawn by a headless browser (the extra ``images``)."""

import base64
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.common.page import render_page
from tfrs_scaling.fit.report.report import report_figures
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.study import StudyFits

Format = Literal["png", "svg"]

WIDTH = 640  # pixels of the page; a png has three times as many
_PRINT_WIDTH = 860  # of the page when it is printed
_SCALE = 3
_PATIENCE = 120.0  # seconds until every figure must be drawn
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TEMPLATE = Path(__file__).with_name("images.html.j2")
_SVG = 'return Bokeh.index[roots.get(arguments[0]).id].export("svg").ctx.get_serialized_svg(true)'
_IMAGE_SIZE = re.compile(r'<image width="(\d+)" height="(\d+)"')
_NAMES = re.compile(r'\bid="([A-Za-z]{12})"')
_PNG = 'return Bokeh.index[roots.get(arguments[0]).id].export("png").canvas.toDataURL("image/png")'


def write_images(
    runs: pd.DataFrame,
    study: StudyFits,
    folder: str | os.PathLike[str],
    *,
    suffix: Format,
    about: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write every figure of a study to a file of its own, in the colours of a light page.

    Args:
        runs: The run table.
        study: Result of ``fit_study`` for these runs.
        folder: Folder to write to, created if needed. Files are named after the elements of the report's page.
        suffix: png (three pixels to one of the page) or svg.
        about: As in ``write_report``.

    Returns:
        The files.

    Raises:
        InputError: selenium, a Chromium or its driver is missing.
        OSError: a file cannot be written.
    """
    with headless_browser() as browser, tempfile.TemporaryDirectory() as scratch:
        view = study_view(runs, study, about)
        figures = report_figures(view)
        page = Path(scratch) / "figures.html"
        places = [(element, plot.height) for element, plot in figures.items()]
        content = {"kind": "figures", "name": view.about.name, "places": places, "width": WIDTH}
        page.write_text(render_page(_TEMPLATE, figures, **content), encoding="utf-8")
        _open(browser, page)
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        return [_write(browser, element, place / f"{element}.{suffix}") for element in figures]


def write_pdf(report: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Print a report: the decision on the first page, the figures in sight, no tables.

    Args:
        report: The HTML file that ``write_report`` wrote.
        path: The PDF file to write.

    Raises:
        InputError: selenium, a Chromium or its driver is missing.
        OSError: the file cannot be written.
    """
    with headless_browser() as browser:
        _open(browser, Path(report).resolve(), width=_PRINT_WIDTH, scale=1)
        # Headers and footers would hold the time of printing.
        printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})
    Path(path).write_bytes(base64.b64decode(printed["data"]))


@contextmanager
def headless_browser(capabilities: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """A headless Chromium driven by selenium.

    Args:
        capabilities: Further capabilities of the driver.

    Raises:
        InputError: one of them is missing, and the message says how to get it; or the browser does not start.
    """
    if importlib.util.find_spec("selenium") is None:
        raise InputError("png, svg and pdf need selenium: pip install 'tfrs_scaling[images]'")
    chromium = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    missing = [name for name, found in (("chromium", chromium), ("chromedriver", driver)) if not found]
    if missing:
        raise InputError(
            f"png, svg and pdf need a headless browser: {' and '.join(missing)} not on the PATH; on Debian: apt "
            "install chromium chromium-driver"
        )
    webdriver: Any = importlib.import_module("selenium.webdriver")
    service: Any = importlib.import_module("selenium.webdriver.chrome.service")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.ignore_local_proxy_environment_variables()  # the driver is on this machine
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--no-first-run",
    ):  # fmt: skip
        options.add_argument(argument)
    for name, value in (capabilities or {}).items():
        options.set_capability(name, value)
    try:
        browser = webdriver.Chrome(options=options, service=service.Service(driver))
    except importlib.import_module("selenium.common").WebDriverException as error:
        tried = subprocess.run([str(chromium), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
        said = " ".join((tried.stderr or tried.stdout).split())[:300]
        reason = (
            f"it ends with status {tried.returncode}{f' and says: {said}' if said else ' and says nothing'}"
            if tried.returncode
            else (error.msg or "").partition(". Examine")[0]
        )
        raise InputError(f"png, svg and pdf need a headless browser, and {chromium} does not start: {reason}") from None
    try:
        yield browser
    finally:
        browser.quit()


def _open(browser: Any, page: Path, width: int = WIDTH, scale: int = _SCALE) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": scale, "mobile": False},
    )
    light = {"name": "prefers-color-scheme", "value": "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [light]})
    browser.get(page.as_uri())
    deadline = time.monotonic() + _PATIENCE
    while browser.execute_script("return document.body.dataset.drawn") != "true":
        if time.monotonic() > deadline:
            raise InputError(
                f"the browser did not draw the figures within {_PATIENCE:.0f} s; try again on an idle machine"
            )
        time.sleep(0.05)


def _write(browser: Any, element: str, path: Path) -> Path:
    if path.suffix == ".svg":
        drawing = browser.execute_script(_SVG, element)
        for number, name in enumerate(dict.fromkeys(_NAMES.findall(drawing))):  # they are drawn by chance
            drawing = drawing.replace(name, f"clip{number}")
        write_text_atomically(path, _IMAGE_SIZE.sub(_in_pixels_of_the_page, drawing))
        return path
    address = browser.execute_script(_PNG, element)
    path.write_bytes(base64.b64decode(address.split(",", 1)[1]))
    return path


def _in_pixels_of_the_page(image: re.Match[str]) -> str:
    """Bokeh puts the glyphs of a legend into an SVG as images, as large as their pixels are many."""
    width, height = (int(pixels) / _SCALE for pixels in image.groups())
    return f'<image width="{width:g}" height="{height:g}"'
