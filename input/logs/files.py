"""The files of a log: found in folders and by patterns, put in order, and recognised by their first bytes."""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import os
import re
import stat
import struct
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from glob import glob
from pathlib import Path, PurePath
from typing import IO, Any, Literal

import pyarrow as pa

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import is_remote, join, opened

Kind = Literal["parquet", "tfrecord", "jsonl", "csv"]

HEAD_BYTES = 512
_WILD = re.compile(r"[*?\[]")
_PARTITION = re.compile(r"[^=/]+=[^/]*")
_MARKERS = re.compile(r"_SUCCESS|_(common_)?metadata|_(committed|started)_\d+|\..*\.crc")  # of Spark and others
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_GZIP, _BZ2, _XZ, _ZSTD, _ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
_LZMA = b"\x5d\0\0"
_PARQUET, _ORC = b"PAR1", b"ORC"  # with bytes below that text does not hold
# What a file that cannot be read is, by its first bytes, and what to do with it.
_OTHERS = {
    b"Obj\x01": "an Avro file; convert it to Parquet",
    b"ARROW1": "an Arrow (Feather) file; convert it to Parquet",
    b"\x89HDF": "an HDF5 file; convert it to Parquet",
    b"SQLite": "an SQLite database; export its table as CSV",
    b"\x80\x04\x95": "a pickle; save the table as Parquet",
    b"FEA1": "an Arrow (Feather) file; convert it to Parquet",
    b"\xff\xff\xff\xff": "an Arrow stream; convert it to Parquet",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV",
    b"\x93NUMPY": "a NumPy array; save it as Parquet or CSV",
    b"SEQ\x06": "a Hadoop SequenceFile; convert it to Parquet",
    b"PK\x05\x06": "an empty zip archive",
    b"version https://git-lfs": "a pointer of Git LFS; get the file with git lfs pull",
    b"<!DOCTYPE html": "a web page; was the download refused?",
    b"<html": "a web page; was the download refused?",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"\x04\x22\x4d\x18": "an lz4 file; unpack it",
    b"\xff\xfe\0\0": "UTF-32 text; give --encoding utf-32",  # before UTF-16, whose mark it begins with
    b"\0\0\xfe\xff": "UTF-32 text; give --encoding utf-32",
    b"\xff\xfe": "UTF-16 text; give --encoding utf-16",
    b"\xfe\xff": "UTF-16 text; give --encoding utf-16",
}


def find_files(given: tuple[str, ...]) -> tuple[str, ...]:
    """The files that paths, folders and patterns such as ``logs/day_*.gz`` stand for.

    A folder stands for the files in it and below, but for names that begin with ``_`` or ``.`` (Spark's ``_SUCCESS``);
    for its ``.inter`` files alone if it has any (RecBole). Files out of a folder or a pattern are in natural order,
    ``day_2`` before ``day_10``. So are given paths that differ in numbers alone, or are sorted as text, as a shell does
    it; any other order was chosen by hand and is kept.

    Raises:
        InputError: a path does not exist, is a pipe, or stands for no file.
    """
    kept = [path for path in given if not _MARKERS.fullmatch(PurePath(path).name)] or list(given)
    if kept == sorted(kept):
        kept.sort(key=natural_key)
    found = [file for path in kept for file in _expanded(path)]
    if len({re.sub(r"\d+", "0", str(PurePath(path))) for path in found}) == 1:
        found.sort(key=natural_key)
    return tuple(found)


def natural_key(path: str) -> list[list[tuple[int, int, str]]]:
    """A key that sorts paths folder by folder, and numbers within names by value."""
    names = (re.split(r"(\d+)", name) for name in PurePath(path).parts)
    return [
        [(0, int(part), part) if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts if part]
        for parts in names
    ]


def partition_values(path: str) -> dict[str, str | None]:
    """The columns that a Hive layout keeps in the names of folders, as in ``day=2020-07-04/part-0``; None: null."""
    folders = [part for part in PurePath(path).parts[:-1] if _PARTITION.fullmatch(part)]
    pairs = (urllib.parse.unquote(part).split("=", 1) for part in folders)
    return {name: None if value == _HIVE_NULL else value for name, value in pairs}


def _expanded(path: str) -> list[str]:
    if is_remote(path):
        import tensorflow as tf  # takes seconds to load, and local files do not need it

        exists, is_folder, matching = tf.io.gfile.exists, tf.io.gfile.isdir, tf.io.gfile.glob
    else:
        exists, is_folder = (lambda path: Path(path).exists()), (lambda path: Path(path).is_dir())
        matching = glob
    matches = [path]
    if _WILD.search(path) and not exists(path):
        matches = [match for match in matching(path) if not _is_hidden(match)]
        if not matches:
            raise InputError(f"{path}: no file has such a name")
    files = []
    for match in sorted(matches, key=natural_key):
        files += _of_folder(match) if is_folder(match) else [match]
    for file in files:
        _refuse_pipe(file)
    return files


def _of_folder(folder: str) -> list[str]:
    if is_remote(folder):
        import tensorflow as tf

        files = [join(place, name) for place, _, names in tf.io.gfile.walk(folder) for name in names]
    else:
        files = [str(file) for file in Path(folder).rglob("*") if file.is_file()]
    shown = [file for file in files if not any(map(_is_hidden, PurePath(file[len(folder) :].strip("/")).parts))]
    if not shown:
        raise InputError(f"{folder}: the folder holds no files (names that begin with _ or . do not count)")
    atomic = [file for file in shown if file.endswith(".inter")]
    return sorted(atomic or shown, key=natural_key)


def recbole_tables(path: str) -> list[str]:
    """RecBole's tables of users and items beside a file of interactions, which are not joined to it."""
    if is_remote(path) or not path.endswith(".inter"):
        return []
    return [str(table) for suffix in (".user", ".item") if (table := Path(path).with_suffix(suffix)).is_file()]


def _is_hidden(path: str) -> bool:
    return PurePath(path).name.startswith(("_", "."))


def _refuse_pipe(path: str) -> None:
    if is_remote(path):
        return
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if stat.S_ISFIFO(mode):
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # or what writes into it would wait forever
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: is a pipe or a device, which can be read once only; write it to a file first")


@contextlib.contextmanager
def decompressed(path: str, encoding: str | None = None) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if it is gz, bz2, xz, zst, or a zip archive of one file.

    Args:
        path: path of the file.
        encoding: encoding of its text, which is then read as UTF-8; None leaves the bytes as they are.

    Raises:
        InputError: it cannot be read, ends in the middle of a compressed stream, or is not in the encoding.
    """
    try:
        with contextlib.ExitStack() as stack:
            stream = _unpacked(stack.enter_context(opened(path)), path, stack)
            yield stream if encoding is None else _utf8(stream, encoding, path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not {encoding} text ({error.reason}); give another --encoding") from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _unpacked(raw: IO[bytes], path: str, stack: contextlib.ExitStack) -> IO[bytes]:
    head = raw.read(len(_XZ))
    raw.seek(0)
    if head.startswith(_ZSTD):
        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd"))
    if head.startswith(_ZIP):
        archive = stack.enter_context(zipfile.ZipFile(raw))
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        names = [name for name in names if not name.startswith("__MACOSX/") and not _is_hidden(name)]
        if any(name.startswith("xl/") for name in names):
            raise InputError(f"{path}: is an Excel workbook; save the sheet as CSV")
        if len(names) != 1:
            raise InputError(f"{path}: is a zip archive of {len(names)} files; unzip it")
        try:
            return stack.enter_context(archive.open(names[0]))
        except RuntimeError:  # what zipfile raises for want of a password
            raise InputError(f"{path}: is a zip archive with a password; unzip it") from None
    for magic, opener in ((_GZIP, gzip.open), (_BZ2, bz2.open), (_XZ, lzma.open), (_LZMA, lzma.open)):
        if head.startswith(magic):
            unpacked: Any = stack.enter_context(opener(raw, "rb"))
            return unpacked
    return raw


def _utf8(stream: IO[bytes], encoding: str, path: str) -> IO[bytes]:
    try:
        codecs.lookup(encoding).incrementaldecoder("strict").decode(b"")
    except (LookupError, TypeError, UnicodeError):
        raise InputError(
            f"--encoding {encoding}: no such encoding; utf-8, utf-16, latin-1 and cp1252 are usual"
        ) from None
    text: Any = io.BufferedReader(pa.transcoding_input_stream(pa.PythonFile(stream, "r"), encoding, "utf-8"))
    return text


def file_kind(path: str, encoding: str | None = None) -> Kind:
    """What a file holds, by the first bytes of its content (in ``encoding`` if it is text).

    Raises:
        InputError: it cannot be read, or is of a kind that no reader knows.
    """
    with decompressed(path, encoding) as stream:
        head = stream.read(HEAD_BYTES)
    refuse_other(head, path)
    if _is_parquet(head):
        return "parquet"
    if _is_tfrecord(head):
        return "tfrecord"
    return "jsonl" if looks_like_json(head) else "csv"


def looks_like_json(head: bytes) -> bool:
    """Whether text is JSON lines, by its first bytes."""
    return re.match(rb"(\xef\xbb\xbf)?\s*\{", head) is not None


def refuse_other(head: bytes, path: str) -> None:
    """Refuse a file of a known kind that no reader knows, given its first bytes.

    Raises:
        InputError: says what it is.
    """
    what = next((what for magic, what in _OTHERS.items() if head.startswith(magic)), None)
    if what is None and head.startswith((_GZIP, _BZ2, _XZ, _ZSTD, _ZIP)):
        what = "compressed twice; unpack it once"
    if what is None and re.match(rb"(\xef\xbb\xbf)?\s*\[\s*\{", head):
        what = "a JSON array; write one object on each line, as `jq -c '.[]'` does"
    if what is None and head.startswith(_ORC) and _NO_TEXT.search(head):
        what = "an ORC file; convert it to Parquet"
    if what is None and head[257:262] == b"ustar":
        what = "a tar archive; unpack it"
    if what is not None:
        raise InputError(f"{path}: is {what}")


def refuse_binary(head: bytes, path: str) -> None:
    """Refuse a file that is to be text but is not, given its first bytes.

    Raises:
        InputError: says what it is.
    """
    refuse_other(head, path)
    kind = "parquet" if _is_parquet(head) else "tfrecord" if _is_tfrecord(head) else None
    if kind is not None:
        raise InputError(f"{path}: is {kind}, not text; use `prepare {kind}`")


def _is_parquet(head: bytes) -> bool:
    return head.startswith(_PARQUET) and _NO_TEXT.search(head) is not None


def _is_tfrecord(head: bytes) -> bool:
    """Whether the first bytes are a TFRecord frame: a length, and its masked CRC-32C."""
    if len(head) < 12:
        return False
    crc = 0xFFFFFFFF
    for byte in head[:8]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return bool(masked == struct.unpack("<I", head[8:12])[0])
