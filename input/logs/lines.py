"""Streams of text as blocks of whole lines; no line may be longer than memory can take."""

from collections.abc import Iterator
from typing import IO

from tfrs_scaling.common.errors import InputError

BLOCK_BYTES = 8 << 20
MAX_LINE_BYTES = 16 << 20
_QUOTED_BYTES = 1 << 20
_TAIL_BYTES = 1 << 12
_BLANK = b"\r\n "


def first_line(stream: IO[bytes], path: str, block_bytes: int = BLOCK_BYTES) -> tuple[bytes, bytes]:
    """A stream's first line with its line break, and what was read of the lines after it.

    Args:
        stream: stream to read.
        path: the file, for errors.
        block_bytes: bytes to read at a time.

    Raises:
        InputError: the line is longer than ``MAX_LINE_BYTES``.
    """
    text = b""
    while b"\n" not in text and (chunk := stream.read(block_bytes)):
        text += chunk
        _check_length(text, path, 1)
    end = text.find(b"\n") + 1 or len(text)
    return text[:end], text[end:]


def line_blocks(
    stream: IO[bytes],
    path: str,
    block_bytes: int = BLOCK_BYTES,
    start: bytes = b"",
    *,
    first: int = 1,
    quotes: bool = False,
) -> Iterator[tuple[bytes, int]]:
    """The rest of a stream, in blocks of whole lines, each with their number, without blank lines at its end.

    Args:
        stream: stream to read.
        path: the file, for errors.
        block_bytes: bytes to read at a time.
        start: what was read of the lines already.
        first: number of the first line of ``start``, for errors.
        quotes: whether a quoted value may span lines; a block then ends outside of it.

    Raises:
        InputError: a line is longer than ``MAX_LINE_BYTES``; names it.
    """
    rest = start
    while chunk := stream.read(block_bytes):
        rest += chunk
        _check_length(rest, path, first)
        end = _block_end(rest, quotes)
        if end:
            block, rest = rest[:end], rest[end:]
            count = count_lines(block)
            yield block, count
            first += count
        elif len(rest) > MAX_LINE_BYTES:
            first += rest.count(b"\n") if rest.strip(_BLANK) else 0
            raise _too_long(path, first, "line" if rest.strip(_BLANK) else "blank lines")
    text_end = len(rest.rstrip(_BLANK))
    if text_end:
        newline = rest.find(b"\n", text_end)
        block = rest[: newline + 1] if newline >= 0 else rest
        yield block, count_lines(block)


def count_lines(block: bytes) -> int:
    """How many lines a block has, counting a last one without a line break."""
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _check_length(text: bytes, path: str, number: int) -> None:
    if len(text) > MAX_LINE_BYTES and text.find(b"\n", 0, MAX_LINE_BYTES) < 0:
        raise _too_long(path, number, "line")


def _too_long(path: str, number: int, what: str) -> InputError:
    return InputError(
        f"{path}, line {number}: more than {MAX_LINE_BYTES >> 20} MiB of {what}; is it text, and are its line breaks "
        "there?"
    )


def _block_end(text: bytes, quotes: bool) -> int:
    """Where the last whole row of a text ends that a later one follows, but for blank lines; 0 if there is none."""
    end = text.rfind(b"\n") + 1
    tail = text[max(0, end - _TAIL_BYTES) : end]  # blank lines are few, and copying all of the text takes time
    text_end = end - len(tail) + len(tail.rstrip(_BLANK)) if tail.strip(_BLANK) else len(text[:end].rstrip(_BLANK))
    if not text_end:
        return 0
    end = text.index(b"\n", text_end) + 1
    if not quotes or text.count(b'"', 0, end) % 2 == 0:
        return end
    stop = end
    while stop > 0 and end - stop < _QUOTED_BYTES:
        start = text.rfind(b"\n", 0, stop - 1) + 1
        if text.count(b'"', start, stop) % 2:
            return start  # the line that opens the quote; what follows it is in the next block
        stop = start
    return end
