"""Text out of files, made safe to show: characters that steer a terminal or turn the direction of text are escaped."""

import re

# C0 and C1 controls but for tab and line feed, bidirectional marks and overrides, invisible separators and tags, and
# the surrogates that stand for bytes of a file's name that are not UTF-8.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def inert(text: str) -> str:
    r"""The text with every character that does not show, or changes how others show, as an escape.

    Examples:
        >>> print(inert("clicks\x1b[2J\u202e.csv"))
        clicks\x1b[2J\u202e.csv
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def inert_line(text: str) -> str:
    """The same on one line, without tabs, for a field of a table of text."""
    return inert(text).replace("\t", "\\t").replace("\n", "\\n")
