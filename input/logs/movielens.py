"""MovieLens-1M as GroupLens distributes it: ratings, users and movies in three files."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprints, join, opened
from tfrs_scaling.input.logs.lines import BLOCK_BYTES
from tfrs_scaling.input.logs.text import Lines, TextLog
from tfrs_scaling.input.logs.values.cells import Cells, Piece, Rejected, missing_column
from tfrs_scaling.input.schema import CategoricalFeature, Schema

RATINGS, USERS, MOVIES = "ratings.dat", "users.dat", "movies.dat"
SEPARATOR = "::"
_USER_COLUMNS = ("gender", "age", "occupation", "zip")
_MOVIE_COLUMNS = ("year", "genres")
_RATING_COLUMNS = ("user", "item", "rating", "timestamp")
COLUMNS = (*_RATING_COLUMNS, *_USER_COLUMNS, *_MOVIE_COLUMNS)
_RATINGS_SCHEMA = Schema(
    "rating", (CategoricalFeature("user", 1, "id"), CategoricalFeature("item", 1, "id")), time="timestamp"
)


def movielens_1m() -> Schema:
    """A rating of 4 or 5 counts as a click; each table has a row per value that occurs, and one for all others."""
    return Schema(
        label="rating",
        label_at_least=4,
        time="timestamp",
        categorical=(
            CategoricalFeature("user", 6041),
            CategoricalFeature("item", 3707),
            CategoricalFeature("gender", 3),
            CategoricalFeature("age", 8),
            CategoricalFeature("occupation", 22),
            CategoricalFeature("zip", 3440),
            CategoricalFeature("year", 82),
            CategoricalFeature("genres", 19, max_values=6, separator="|"),
        ),
    )


@dataclasses.dataclass(frozen=True)
class MovieLensLog:
    """Ratings, each joined with its user and its movie.

    Attributes:
        schema: the columns to read, out of ``COLUMNS``.
        files: the path of the ratings, which are the rows.
        about: the paths of the users and the movies.
        users, movies: these files' content; the first column is the user or item, all are binary.
        block_bytes: bytes of the ratings to read at a time.
    """

    schema: Schema
    files: tuple[str, ...]
    about: tuple[str, str]
    users: pa.Table
    movies: pa.Table
    block_bytes: int = BLOCK_BYTES

    @staticmethod
    def open(raw: tuple[str, ...], schema: Schema) -> "MovieLensLog":
        """The log in a folder, or in its three files in any order.

        Raises:
            InputError: a file is missing or malformed, or the schema names an unknown column.
        """
        ratings, users, movies = _three_files(raw)
        for column in schema.columns:
            if column not in COLUMNS:
                raise missing_column("movielens-1m", column, COLUMNS)
        return MovieLensLog(schema, (ratings,), (users, movies), _read_users(users), _read_movies(movies))

    def pieces(self, number: int) -> Iterator[Piece[Lines]]:
        """Blocks of the ratings' lines.

        Raises:
            InputError: the file cannot be read.
        """
        return self._ratings.pieces(number)

    def cells(self, piece: Piece[Lines]) -> Cells:
        """The ratings of a block of lines; one whose user or movie is unknown is malformed.

        Raises:
            InputError: the lines cannot be parsed.
        """
        # Arrow takes separators of one character only; a tab in the file must not be taken for one.
        text = piece.content.text.replace(b"\t", b"\0").replace(SEPARATOR.encode(), b"\t")
        lines = dataclasses.replace(piece.content, text=text)
        ratings = self._ratings.cells(Piece(piece.number, piece.first, lines))
        malformed = [_as_written(row) for row in ratings.malformed]
        user = pc.index_in(ratings.batch.column("user"), self.users.column("user"))
        movie = pc.index_in(ratings.batch.column("item"), self.movies.column("item"))
        known = np.ones(len(ratings.ordinals), bool)
        for column, found, path in (("user", user, self.about[0]), ("item", movie, self.about[1])):
            unknown = found.is_null().to_numpy(zero_copy_only=False)
            why = f"not in {PurePath(path).name}"
            malformed += [ratings.rejected(int(index), column, why) for index in np.flatnonzero(unknown & known)]
            known &= ~unknown
        columns = {name: ratings.batch.column(name) for name in _RATING_COLUMNS}
        columns |= {name: self.users.column(name).combine_chunks().take(user) for name in _USER_COLUMNS}
        columns |= {name: self.movies.column(name).combine_chunks().take(movie) for name in _MOVIE_COLUMNS}
        batch = pa.record_batch({name: columns[name].filter(pa.array(known)) for name in self.schema.columns})
        return dataclasses.replace(ratings, ordinals=ratings.ordinals[known], batch=batch, malformed=malformed)

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and SHA-256 of each of the three files.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints((*self.files, *self.about))

    @property
    def _ratings(self) -> TextLog:
        return TextLog(_RATINGS_SCHEMA, self.files, "\t", _RATING_COLUMNS, self.block_bytes)


def _three_files(raw: tuple[str, ...]) -> list[str]:
    names = (RATINGS, USERS, MOVIES)
    if len(raw) == 1 and PurePath(raw[0]).name not in names:
        return [join(raw[0], name) for name in names]
    by_name = {PurePath(path).name: path for path in raw}
    if len(raw) != len(names) or set(by_name) != set(names):
        raise InputError(
            f"movielens-1m takes {RATINGS}, {USERS} and {MOVIES}, or the folder with them; got {' '.join(raw)}"
        )
    return [by_name[name] for name in names]


def _read_users(path: str) -> pa.Table:
    rows = {key: (key, *values) for _, key, values in _lines(path, ("user", *_USER_COLUMNS))}
    return _table(("user", *_USER_COLUMNS), list(rows.values()))


def _read_movies(path: str) -> pa.Table:
    rows = []
    for line, key, (title, genres) in _lines(path, ("item", "title", "genres")):
        year = re.search(r"\(([0-9]{4})\)\s*$", title)
        if year is None:
            raise InputError(
                f"{path}, line {line}, column 'title': should end with a year, as in 'Heat (1995)', got {title!r}"
            )
        rows.append((key, year[1], genres))
    return _table(("item", *_MOVIE_COLUMNS), rows)


def _lines(path: str, columns: tuple[str, ...]) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Each line's number, its first value, which must be unique in the file, and its other values."""
    with opened(path) as stream:
        lines = stream.read().decode("latin-1").removesuffix("\n").split("\n")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        key, *values = line.removesuffix("\r").split(SEPARATOR)
        if len(values) + 1 != len(columns):
            raise InputError(
                f"{path}, line {number}: {len(values) + 1} columns instead of {len(columns)} "
                f"({SEPARATOR.join(columns)}), got {line[:80]!r}; fix the line"
            )
        if key in seen:
            raise InputError(
                f"{path}, line {number}, column {columns[0]!r}: {key!r} is already in line {seen[key]}; remove one"
            )
        seen[key] = number
        yield number, key, tuple(values)


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table({
        name: pa.array([value.encode() for value in column], pa.binary())
        for name, column in zip(names, columns, strict=True)
    })  # fmt: skip


def _as_written(row: Rejected) -> Rejected:
    return dataclasses.replace(row, value=row.value.replace("\t", SEPARATOR))
