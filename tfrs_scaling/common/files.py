"""Writing files atomically: a reader sees all of a file or none."""

import json
import os
from pathlib import Path
from typing import Any


def write_text_atomically(path: str | os.PathLike[str], text: str, *, durably: bool = True) -> None:
    """Write text as UTF-8 with Unix line ends: into a temporary file next to the target, then renamed over it.

    Bytes of a file's name that are not UTF-8 are written as escapes.

    ``durably``: it must survive a loss of power, which takes longer.

    Raises:
        OSError: the folder does not exist or cannot be written to; the target is then unchanged.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], content: dict[str, Any], *, durably: bool = False) -> None:
    """Write a JSON file, with sorted keys, as ``write_text_atomically`` writes text."""
    write_text_atomically(path, json.dumps(content, indent=1, sort_keys=True) + "\n", durably=durably)
