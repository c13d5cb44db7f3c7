"""MovieLens-1M's three files, joined, against pandas and by hand."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized
from click.testing import CliRunner

from tests.helpers.logs import contents, parsed, sent
from tests.helpers.studies import CONFIGS, REPOSITORY
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.logs.movielens import MovieLensLog, movielens_1m
from tfrs_scaling.input.logs.values.cells import read
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import ClickData

REAL_LOG = REPOSITORY.parent / "shared" / "data" / "ctr" / "movielens_1m" / "interactions.tsv.xz"
REAL_ROWS = 100_000
RATINGS = "1::10::5::978300760\n1::20::3::978302109\n2::10::4::978301968\n"
USERS = "1::F::1::10::48067\n2::M::56::16::98107-1450\n"
MOVIES = "10::Toy Story (1995)::Animation|Children's|Comedy\n20::Misérables, Les (1995) (1998)::Drama\n"
# Columns as text, by hand.
EXPECTED = {
    "rating": ["5", "3", "4"],
    "timestamp": ["978300760", "978302109", "978301968"],
    "user": ["1", "1", "2"],
    "item": ["10", "20", "10"],
    "gender": ["F", "F", "M"],
    "age": ["1", "1", "56"],
    "occupation": ["10", "10", "16"],
    "zip": ["48067", "48067", "98107-1450"],
    "year": ["1995", "1998", "1995"],
    "genres": ["Animation|Children's|Comedy", "Drama", "Animation|Children's|Comedy"],
}


class MovieLensTest(parameterized.TestCase, tf.test.TestCase):
    def _folder(self, ratings: str = RATINGS, users: str = USERS, movies: str = MOVIES) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "ml-1m"
        folder.mkdir()
        for name, content in (("ratings", ratings), ("users", users), ("movies", movies)):
            (folder / f"{name}.dat").write_bytes(content.encode("latin-1"))
        return folder

    def _log(self, ratings: str = RATINGS, users: str = USERS, movies: str = MOVIES) -> MovieLensLog:
        return MovieLensLog.open((str(self._folder(ratings, users, movies)),), movielens_1m())

    @parameterized.named_parameters(
        ("as_they_are", RATINGS, USERS, MOVIES),
        ("carriage_returns", *(content.replace("\n", "\r\n") for content in (RATINGS, USERS, MOVIES))),
        ("no_last_line_break", *(content.removesuffix("\n") for content in (RATINGS, USERS, MOVIES))),
    )
    def test_cells_by_hand(self, ratings: str, users: str, movies: str) -> None:
        blocks = list(read(self._log(ratings, users, movies)))
        self.assertEmpty([row for cells in blocks for row in cells.malformed])
        together = pa.Table.from_batches([cells.batch for cells in blocks]).to_pydict()
        found = {name: [cell.decode() for cell in column] for name, column in together.items()}
        self.assertEqual(found, EXPECTED)

    def test_labels_and_times(self) -> None:
        rows, _ = parsed(self._log())
        self.assertAllEqual(rows.label, [1, 0, 1])
        self.assertAllEqual(rows.time, [978300760, 978302109, 978301968])

    def test_files_in_any_order_or_their_folder(self) -> None:
        folder = self._folder()
        files = [str(folder / f"{name}.dat") for name in ("movies", "ratings", "users")]
        for raw in ([str(folder)], files, files[::-1], [*files[1:], files[0]]):
            log = MovieLensLog.open(tuple(raw), movielens_1m())
            self.assertEqual(log.files, (files[1],))
            self.assertEqual([name for name, _, _ in log.fingerprints()], ["ratings.dat", "users.dat", "movies.dat"])

    def test_files_that_are_missing_are_named(self) -> None:
        folder = self._folder()
        for raw in (["ratings.dat"], ["a/ratings.dat", "a/users.dat"], ["a/ratings.dat", "a/users.dat", "b/users.dat"]):
            with self.assertRaisesRegex(InputError, "takes ratings.dat, users.dat and movies.dat, or the folder"):
                MovieLensLog.open(tuple(raw), movielens_1m())
        (folder / "users.dat").unlink()
        with self.assertRaisesRegex(InputError, r"ml-1m/users\.dat: cannot be read: No such file"):
            MovieLensLog.open((str(folder),), movielens_1m())

    @parameterized.named_parameters(
        (
            "short_user",
            {"users": USERS + "3::M::25::1\n"},
            r"users\.dat, line 3: 4 columns instead of 5 \(user::gender",
        ),
        ("blank_line", {"users": "\n" + USERS}, r"users\.dat, line 1: 1 columns instead of 5"),
        ("empty_file", {"users": ""}, r"users\.dat, line 1: 1 columns instead of 5"),
        ("user_twice", {"users": USERS + "1::M::1::1::1\n"}, r"users\.dat, line 3, column 'user': '1' is already in"),
        (
            "movie_twice",
            {"movies": MOVIES + "20::A (1990)::B\n"},
            r"movies\.dat, line 3, column 'item': '20' is already in line 2",
        ),
        ("no_year", {"movies": MOVIES + "30::Heat::Action\n"}, r"movies\.dat, line 3, column 'title': .*, got 'Heat'"),
        (
            "colons",
            {"movies": "1::A::B (1990)::C\n"},
            r"movies\.dat, line 1: 4 columns instead of 3 \(item::title::genres\)",
        ),
    )
    def test_malformed_users_and_movies_are_located(self, changed: dict[str, str], message: str) -> None:
        with self.assertRaisesRegex(InputError, message):
            self._log(**changed)

    @parameterized.named_parameters(
        ("unknown_user", "3::10::5::1", "column 'user': not in users.dat, got '3'"),
        ("unknown_movie", "1::30::5::1", "column 'item': not in movies.dat, got '30'"),
        ("both", "3::30::5::1", "column 'user': not in users.dat, got '3'"),
        ("user_written_otherwise", "01::10::5::1", "column 'user': not in users.dat, got '01'"),
        ("short", "1::10::5", "3 columns instead of 4, got '1::10::5'"),
        ("long", "1::10::5::1::1", "5 columns instead of 4, got '1::10::5::1::1'"),
        ("tab_is_no_separator", "1\t10\t5\t1", r"1 columns instead of 4"),
        ("tab_in_a_value", "1\t::10::5::1", "column 'user': not in users.dat"),
        ("no_number", "1::10::good::1", "column 'rating': the label is not a finite number, got 'good'"),
        (
            "no_time",
            "1::10::5::noon",
            "column 'timestamp': the time is neither a number nor a date.*, got 'noon'",
        ),
    )
    def test_malformed_ratings_are_rejected_where_they_stand(self, line: str, message: str) -> None:
        rows, rejected = parsed(self._log(RATINGS.replace("1::20", f"{line}\n1::20")))
        self.assertAllEqual(rows.position, [0, 2, 3])
        self.assertLen(rejected, 1)
        self.assertRegex(str(rejected[0]), rf"ratings\.dat, line 2.*{message}")

    def test_another_schema(self) -> None:
        folder = self._folder()
        schema = Schema("rating", (CategoricalFeature("year", 5, "id"),), label_at_least=5)
        rows, _ = parsed(open_log("movielens-1m", (str(folder),), schema, None))
        self.assertAllEqual(rows.codes, [[1995], [1998], [1995]])
        self.assertAllEqual(rows.label, [1, 0, 0])
        with self.assertRaisesRegex(InputError, "movielens-1m: there is no column 'genre'; did you mean 'genres'"):
            open_log("movielens-1m", (str(folder),), Schema("rating", (CategoricalFeature("genre", 5),)), None)

    def test_rows_do_not_depend_on_blocks_or_processes(self) -> None:
        log = self._log("".join(f"{i % 2 + 1}::{(10, 20, 30)[i % 3]}::{i % 5 + 1}::{i}\n" for i in range(200)))
        rows, rejected = parsed(log)
        self.assertLen(rejected, 66)
        cut = dataclasses.replace(log, block_bytes=100)
        self.assertGreater(len(list(read(cut))), 20)
        small, small_rejected = parsed(sent(cut))
        self.assertEqual(contents(small), contents(rows))
        self.assertEqual(small_rejected, rejected)

    def test_features_are_those_of_the_shipped_schema(self) -> None:
        self.assertEqual(movielens_1m().categorical, Schema.read(CONFIGS / "schemas" / "movielens.json").categorical)

    def test_real_ratings_by_command_against_pandas(self) -> None:
        if not REAL_LOG.exists():
            self.skipTest("MovieLens-1M is not beside the checkout")
        frame = pd.read_csv(REAL_LOG, sep="\t", dtype={"zip": str}).head(REAL_ROWS)
        users = frame.drop_duplicates("user")
        movies = frame.drop_duplicates("item")
        folder = self._folder(
            "".join(
                f"{user}::{item}::{5 if label else 2}::{order + 1}\n"
                for user, item, label, order in frame[["user", "item", "label", "order_in_user"]].itertuples(
                    index=False
                )
            ),
            "".join(
                f"{'::'.join(map(str, row))}\n"
                for row in users[["user", "gender", "age", "occupation", "zip"]].itertuples(index=False)
            ),
            "".join(
                f"{item}::Movie {item} ({year})::{genres}\n"
                for item, year, genres in movies[["item", "year", "genres"]].itertuples(index=False)
            ),
        )
        out = folder.parent / "data"
        command = ["prepare", "movielens-1m", str(folder), str(out), "--split", "random"]
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        self.assertEqual(result.exit_code, 0, result.output)
        manifest = ClickData.open(out).manifest
        self.assertEqual(sum(split.rows for split in manifest.splits.values()), REAL_ROWS)
        self.assertEqual(sum(split.clicks for split in manifest.splits.values()), frame["label"].sum())
        self.assertEqual([source.file for source in manifest.sources], ["ratings.dat", "users.dat", "movies.dat"])

        rows, _ = parsed(MovieLensLog.open((str(folder),), movielens_1m()))
        self.assertAllEqual(rows.label, frame["label"])
        self.assertAllEqual(rows.time, frame["order_in_user"] + 1)
        for feature, slots in zip(manifest.schema.categorical, manifest.schema.slots, strict=True):
            values = frame[feature.name].astype(str)
            if feature.separator is None:
                codes, expected = pd.factorize(rows.codes[:, slots.start])[0], pd.factorize(values)[0]
                self.assertAllEqual(codes, expected, feature.name)
            else:
                counts = values.str.count(r"\|") + 1
                self.assertAllEqual((rows.codes[:, slots] != 2**64 - 1).sum(axis=1), counts)


if __name__ == "__main__":
    tf.test.main()
