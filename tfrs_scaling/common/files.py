"""Writing files atomically: a reader sees all of a file or none."""

import os
from pathlib import Path


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8 with Unix line ends: into a temporary file next to the target, then renamed over it.

    Raises:
        OSError: the folder does not exist or cannot be written to; the target is then unchanged.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
