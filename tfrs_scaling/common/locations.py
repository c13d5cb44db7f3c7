"""Files on this machine and on the file systems that TensorFlow supports (``gs://``, ``ram://``)."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import IO

from tfrs_scaling.common.errors import InputError


def is_remote(path: str | Path) -> bool:
    """Whether the path is on another file system than this machine's."""
    return "://" in str(path)


def check_utf8(path: str | Path) -> None:
    """Refuse a name that TensorFlow cannot be given.

    Raises:
        InputError: it is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path}: the name is not UTF-8, which TensorFlow needs; choose another") from None


@contextlib.contextmanager
def opened(path: str | Path, mode: str = "rb") -> Iterator[IO[bytes]]:
    """The file at ``path``, for binary reading (``rb``) or writing (``wb``).

    Raises:
        InputError: it cannot be opened, read or written.
    """
    doing = "read" if mode == "rb" else "written"
    try:
        if not is_remote(path):
            with Path(path).open(mode) as local:
                yield local
            return
    except OSError as error:
        raise InputError(f"{path}: cannot be {doing}: {error.strerror or error}") from None
    import tensorflow as tf  # takes seconds to load, and local files do not need it

    try:
        with tf.io.gfile.GFile(str(path), mode) as remote:
            yield remote
    except tf.errors.OpError as error:
        raise InputError(f"{path}: cannot be {doing}: {error.message}") from None


def size(path: str | Path) -> int | None:
    """Bytes of the file; None if it does not exist."""
    if not is_remote(path):
        return Path(path).stat().st_size if Path(path).is_file() else None
    import tensorflow as tf

    try:
        status = tf.io.gfile.stat(str(path))
    except tf.errors.OpError:
        return None
    return None if status.is_directory else int(status.length)


def join(folder: str | Path, name: str) -> str:
    """The path of a file in a folder."""
    return f"{str(folder).rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder) / name)


def fingerprint(path: str | Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    digest, length = hashlib.sha256(), 0
    with opened(path) as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            length += len(chunk)
    return length, digest.hexdigest()


def fingerprints(paths: Sequence[str]) -> tuple[tuple[str, int, str], ...]:
    """Name, size in bytes and SHA-256 of each file; a name's bytes that are not UTF-8 are written as escapes.

    Raises:
        InputError: one cannot be read.
    """
    names = [os.fsencode(PurePath(path).name).decode("utf-8", "backslashreplace") for path in paths]
    return tuple((name, *fingerprint(path)) for name, path in zip(names, paths, strict=True))
