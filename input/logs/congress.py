"""Votes of the US Congress as the project unitedstates/congress writes them down: a ``data.json`` per roll call."""

import dataclasses
import datetime
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.values.cells import Cells, Piece, missing_column
from tfrs_scaling.input.schema import Schema

FILE = "data.json"
OF_VOTE = ("label", "member", "party", "state")
OF_ROLL_CALL = (
    *("rollcall", "chamber", "congress", "category", "type", "requires", "bill", "bill_type", "amendment_type"),
    *("words", "hour", "weekday", "ts"),
)
_LABELS = {"Yea": 1, "Aye": 1, "Yes": 1, "Nay": 0, "No": 0}  # whoever was absent or present gave no answer
_VICE_PRESIDENT = "VP"  # who decides a tie, in place of a member
_WORD = re.compile("[a-z]{4,}")
_WORDS = 12
_TYPE_LETTERS = 60  # more of them name the bill
_PIECE = 1 << 16  # rows, or a roll call's more


def congress() -> Schema:
    """That of ``tuner_configs/schemas/congress_1989.json``."""
    return Schema.read(Path("congress_1989"))


@dataclasses.dataclass(frozen=True)
class RollCall:
    """A roll call.

    Attributes:
        about: the columns of ``OF_ROLL_CALL``.
        votes: a line per vote of the columns of ``OF_VOTE``, with a tab between them.
        count: how many there are.
    """

    about: tuple[bytes, ...]
    votes: bytes
    count: int

    @property
    def moment(self) -> tuple[int, bytes]:
        """Seconds since 1970, and the name, which tells roll calls of one minute apart."""
        return int(self.about[-1]), self.about[0]


@dataclasses.dataclass(frozen=True)
class CongressLog:
    """The votes of the roll calls in folders, in the order of time.

    A row is what one member said in one roll call, yes or no. Roll calls without such answers (quorums, elections of a
    speaker, impeachments) have no rows. Hours and weekdays, from Monday, 0, are those of the Capitol.

    Attributes:
        schema: the columns to read, out of ``OF_VOTE`` and ``OF_ROLL_CALL``.
        folders: where they are.
        paths: the files of the roll calls.
    """

    schema: Schema
    folders: tuple[str, ...]
    paths: tuple[Path, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """One name for all folders, whose roll calls are merged."""
        return (" ".join(self.folders),)

    @staticmethod
    def open(raw: tuple[str, ...], schema: Schema) -> "CongressLog":
        """The log in folders of this machine, such as ``data`` or ``data/118`` and ``data/119``.

        Raises:
            InputError: there is no roll call, or the schema names an unknown column.
        """
        names = (*OF_VOTE, *OF_ROLL_CALL)
        for column in schema.columns:
            if column not in names:
                raise missing_column("congress", column, names)
        paths = [path for folder in raw for path in Path(folder).rglob(FILE)]
        if not paths:
            raise InputError(f"{' '.join(raw)}: no {FILE} in or below; congress takes folders of roll calls")
        return CongressLog(schema, raw, tuple(sorted(paths)))

    def pieces(self, number: int) -> Iterator[Piece[tuple[RollCall, ...]]]:
        """Roll calls in the order of time, with about as many votes each time.

        Raises:
            InputError: a file is not a roll call; names it.
        """
        calls = [call for call in map(_read, self.paths) if call.count]
        calls.sort(key=lambda call: call.moment)
        first = start = rows = 0
        for end, call in enumerate(calls, 1):
            rows += call.count
            if rows >= _PIECE or end == len(calls):
                yield Piece(number, first, tuple(calls[start:end]))
                first, start, rows = first + rows, end, 0

    def cells(self, piece: Piece[tuple[RollCall, ...]]) -> Cells:
        """The votes of some roll calls."""
        calls = piece.content
        votes = zip(*(line.split(b"\t") for call in calls for line in call.votes.splitlines()), strict=True)
        columns = {name: pa.array(column, pa.binary()) for name, column in zip(OF_VOTE, votes, strict=True)}
        counts = [call.count for call in calls]
        of_row = pa.array(np.repeat(np.arange(len(calls)), counts))
        about = zip(*(call.about for call in calls), strict=True)
        for name, column in zip(OF_ROLL_CALL, about, strict=True):
            columns[name] = pa.array(column, pa.binary()).take(of_row)
        batch = pa.record_batch({name: columns[name] for name in self.schema.columns})
        return Cells(self.files[0], piece.number, piece.first + np.arange(sum(counts)), batch, [], unit="vote")

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """The folders' names, the bytes of all roll calls, and the SHA-256 of them one after the other."""
        digest, length = hashlib.sha256(), 0
        for path in self.paths:
            content = path.read_bytes()
            digest.update(content)
            length += len(content)
        return ((" ".join(PurePath(folder).name for folder in self.folders), length, digest.hexdigest()),)


def _read(path: Path) -> RollCall:
    try:
        call = json.loads(path.read_bytes())
        lines = [
            f"{_LABELS[answer]}\t{member['id']}\t{member['party']}\t{member['state']}"
            for answer, members in call["votes"].items()
            if answer in _LABELS
            for member in members
            if member != _VICE_PRESIDENT
        ]
        return RollCall(_about(call), "\n".join(lines).encode(), len(lines))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise InputError(f"{path}: is no roll call of unitedstates/congress: it has no {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is no roll call of unitedstates/congress: {error}") from None


def _about(call: dict[str, Any]) -> tuple[bytes, ...]:
    moment = datetime.datetime.fromisoformat(call["date"])
    bill, amendment = call.get("bill", {}), call.get("amendment", {})
    texts = (call.get("subject"), call["question"], bill.get("title"))
    columns: Sequence[object] = (
        call["vote_id"],
        call["chamber"],
        call["congress"],
        call["category"],
        call["type"].strip().replace("\n", " ")[:_TYPE_LETTERS],
        call["requires"],
        f"{bill['type']}{bill['number']}-{bill['congress']}" if bill else "",
        bill.get("type", ""),
        amendment.get("type", ""),
        "|".join(_words(" ".join(filter(None, texts)))),
        moment.hour,
        moment.weekday(),
        int(moment.timestamp()),
    )
    return tuple(str(column).encode() for column in columns)


def _words(text: str) -> list[str]:
    """The first words of four letters and more, each once."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))[:_WORDS]
