"""Writing a file so that a reader sees all of it or none."""

import os
from pathlib import Path


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8 with Unix line ends: into a neighbour file, then renamed over the target.

    Raises:
        OSError: the folder does not exist or cannot be written to; the target is then untouched.
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
