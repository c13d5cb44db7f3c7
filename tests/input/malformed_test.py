"""A corpus of malformed logs, and of damage to prepared data: each is refused with its place in words, or counted."""

# mypy: allow-untyped-calls
# (absl has no types)

import bz2
import gzip
import json
import lzma
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.cli.main import main

SCHEMA = {
    "label": "click",
    "time": "ts",
    "weight": "w",
    "dense": [{"name": "age", "negative": "reject"}],
    "categorical": [
        {"name": "user", "cardinality": 10},
        {"name": "tags", "cardinality": 10, "max_values": 2, "separator": "|"},
        {"name": "ad", "cardinality": 10, "encoding": "id"},
    ],
}
HEADER = b"click,ts,w,age,user,tags,ad"
CRITEO = b"\t".join([b"0", *[b"1"] * 13, *[b"0badcafe"] * 26])
GOOD = [b"%d,%d,1,30,u%d,a|b,%d" % (i % 2, i, i % 7, i % 5) for i in range(60)]


def _csv(*bad: bytes, header: bytes = HEADER, newline: bytes = b"\n") -> bytes:
    """A log with a bad row as its line 32."""
    return newline.join([header, *GOOD[:30], *bad, *GOOD[30:]]) + newline


def _criteo(column: int, value: bytes) -> bytes:
    cells = CRITEO.split(b"\t")
    cells[column] = value
    good = [b"1" + CRITEO[1:], CRITEO] * 30
    return b"\n".join([*good[:30], b"\t".join(cells), *good[30:]]) + b"\n"


def _cell(column: int, value: bytes) -> bytes:
    cells = GOOD[1].split(b",")
    cells[column] = value
    return _csv(b",".join(cells))


# A row that cannot be used: what the log holds, and what is said of it. It is also counted and listed when allowed.
ROWS: dict[str, tuple[str, bytes, str]] = {
    "short_row": ("csv", _csv(b"1,2,1,30,u1"), r"line 32: .*5 columns instead of 7|line 32: 5 columns"),
    "long_row": ("csv", _csv(GOOD[1] + b",more"), "line 32: 8 columns instead of 7"),
    "blank_line": ("csv", _csv(b""), "line 32"),
    "only_separators": ("csv", _csv(b",,,,,,"), "line 32, column 'click': the label is neither 0 nor 1, got ''"),
    "quote_left_open": ("csv", _csv(b'1,2,1,30,"u1,a,1'), "line 32: a quoted value does not end on its line"),
    "quoted_separators": ("csv", _csv(b'1,2,1,30,"u1,a,1"'), "line 32: 5 columns instead of 7"),
    "lone_carriage_return": ("csv", _csv(b"1,2,1,30,u\r1,a,1"), "line 32: "),
    "not_utf8": ("csv", _cell(4, b"\xff\xfe"), "line 32, column 'user': not UTF-8 text"),
    "not_utf8_and_short": ("csv", _csv(b"1,\xff"), "line 32: 2 columns instead of 7"),
    "utf16": ("csv", _csv("1,2,1,30,u,a,1".encode("utf-16")), "line 32"),
    "nul_in_value": ("csv", _cell(4, b"u\x001"), "line 32, column 'user': .*a NUL inside a value"),
    "nul_in_number": ("csv", _cell(3, b"3\x000"), "line 32, column 'age': not a finite number"),
    "nuls_alone": ("csv", _csv(b"\0" * 40), "line 32"),
    "label_2": ("csv", _cell(0, b"2"), "line 32, column 'click': the label is neither 0 nor 1, got '2'"),
    "label_minus_1": ("csv", _cell(0, b"-1"), "line 32, column 'click': the label is neither 0 nor 1, got '-1'"),
    "label_blank": ("csv", _cell(0, b""), "line 32, column 'click': the label is neither 0 nor 1, got ''"),
    "label_inner_space": ("csv", _cell(0, b"0 1"), "line 32, column 'click': the label is neither 0 nor 1, got '0 1'"),
    "label_maybe": ("csv", _cell(0, b"maybe"), "line 32, column 'click': the label is neither 0 nor 1, got 'maybe'"),
    "label_fraction": ("csv", _cell(0, b"0.5"), "line 32, column 'click': the label is neither 0 nor 1, got '0.5'"),
    "dense_text": ("csv", _cell(3, b"old"), "line 32, column 'age': not a finite number"),
    "dense_nan": ("csv", _cell(3, b"nan"), "line 32, column 'age': not a finite number"),
    "dense_inf": ("csv", _cell(3, b"inf"), "line 32, column 'age': not a finite number"),
    "dense_minus_inf": ("csv", _cell(3, b"-inf"), "line 32, column 'age': not a finite number"),
    "dense_too_large": ("csv", _cell(3, b"1e300"), "line 32, column 'age': not a finite number within float32"),
    "dense_negative": ("csv", _cell(3, b"-1"), "line 32, column 'age': .* from 0 up, got '-1'"),
    "dense_hexadecimal": ("csv", _cell(3, b"0x1f"), "line 32, column 'age': not a finite number"),
    "dense_thousands": ("csv", _cell(3, b'"1,000"'), "line 32, column 'age': not a finite number"),
    "time_text": ("csv", _cell(1, b"noon"), "line 32, column 'ts': the time is neither a number nor a date"),
    "time_blank": ("csv", _cell(1, b""), "line 32, column 'ts': the time is neither a number nor a date"),
    "time_two_points": ("csv", _cell(1, b"1.5.1"), "line 32, column 'ts': the time is neither a number nor a date"),
    "time_too_large": ("csv", _cell(1, b"9" * 25), "line 32, column 'ts': the time is neither a number nor a date"),
    "weight_negative": ("csv", _cell(2, b"-0.1"), "line 32, column 'w': the weight is not a finite number"),
    "weight_nan": ("csv", _cell(2, b"nan"), "line 32, column 'w': the weight is not a finite number"),
    "weight_blank": ("csv", _cell(2, b""), "line 32, column 'w': the weight is not a finite number"),
    "weight_infinite": ("csv", _cell(2, b"inf"), "line 32, column 'w': the weight is not a finite number"),
    "id_text": ("csv", _cell(6, b"ad7"), "line 32, column 'ad': the id is not an integer"),
    "id_negative": ("csv", _cell(6, b"-7"), "line 32, column 'ad': the id is not an integer from 0"),
    "id_too_large": ("csv", _cell(6, b"2147483648"), "line 32, column 'ad': the id is not an integer from 0"),
    "id_blank": ("csv", _cell(6, b""), "line 32, column 'ad': the id is not an integer"),
    "too_many_tags": ("csv", _cell(5, b"a|b|c"), "line 32, column 'tags': more than 2 values"),
    "tag_not_utf8": ("csv", _cell(5, b"a|\xff"), "line 32, column 'tags': not UTF-8"),
    "criteo_bad_hex": ("criteo", _criteo(20, b"0badcafg"), "line 31, column 'C7': not a hexadecimal number"),
    "criteo_long_hex": ("criteo", _criteo(20, b"123456789"), "line 31, column 'C7': not a hexadecimal number"),
    "criteo_negative_hex": ("criteo", _criteo(20, b"-1"), "line 31, column 'C7': not a hexadecimal number"),
    "criteo_text_in_integers": ("criteo", _criteo(3, b"many"), "line 31, column 'I3': not an integer"),
    "criteo_fraction": ("criteo", _criteo(3, b"1.5"), "line 31, column 'I3': not an integer"),
    "criteo_label": ("criteo", _criteo(0, b"3"), "line 31, column 'label': the label is neither 0 nor 1"),
    "criteo_short": ("criteo", _criteo(39, b"").replace(b"\t\n", b"\n"), "line 31: 39 columns instead of 40"),
}  # fmt: skip

# A log that cannot be used at all.
FILES: dict[str, tuple[str, str, bytes, str]] = {
    "empty_file": ("csv", "log.csv", b"", r"log.csv, line 1: no header line"),
    "only_header": ("csv", "log.csv", HEADER + b"\n", "log.csv: no rows"),
    "header_without_newline": ("csv", "log.csv", HEADER, "log.csv: no rows"),
    "duplicated_header": ("csv", "log.csv", _csv(header=HEADER + b",user"), "line 1: the column 'user' appears twice"),
    "column_missing": ("csv", "log.csv", _csv(header=HEADER.replace(b"user", b"usre")), "'user'; did you mean 'usre'"),
    "header_not_utf8": ("csv", "log.csv", _csv(header=b"\xff" + HEADER), "line 1: not UTF-8 text"),
    "no_header": ("csv", "log.csv", b"\n".join(GOOD), "line 1 .*: there is no column 'click'"),
    "binary": ("csv", "log.csv", bytes(range(256)) * 40, "log.csv, line 1"),
    "utf16_log": ("csv", "log.csv", _csv().decode().encode("utf-16"), "is UTF-16 text; give --encoding utf-16"),
    "header_repeated_below": ("csv", "log.csv", _csv(HEADER), "line 32: the header line again"),
    "gzip_cut": ("csv", "log.csv.gz", gzip.compress(_csv() * 50)[:-200], "log.csv.gz: cannot be read: "),
    "gzip_flipped": ("csv", "log.csv.gz", gzip.compress(_csv())[:-8] + b"\0" * 8, "log.csv.gz: cannot be read: "),
    "xz_cut": ("csv", "log.csv.xz", lzma.compress(_csv())[:-30], "log.csv.xz: cannot be read: "),
    "bz2_cut": ("csv", "log.csv.bz2", bz2.compress(_csv())[:-30], "log.csv.bz2: cannot be read: "),
    "one_label": ("csv", "log.csv", _csv().replace(b"\n1,", b"\n0,"), "every label of the train split is 0"),
    "one_row": ("csv", "log.csv", HEADER + b"\n" + GOOD[0] + b"\n", "split is empty"),
    "parquet_that_is_none": ("parquet", "log.parquet", _csv(), "log.parquet: cannot be read as Parquet"),
    "parquet_empty_file": ("parquet", "log.parquet", b"", "log.parquet: cannot be read as Parquet"),
    "criteo_empty": ("criteo", "day_0", b"", "day_0: no rows"),
    "criteo_is_csv": ("criteo", "day_0", _csv(), "day_0, line 1: 1 columns instead of 40"),
}  # fmt: skip


class MalformedTest(parameterized.TestCase, tf.test.TestCase):
    """``prepare``, ``data check`` and ``plan`` on what they should refuse."""

    def setUp(self) -> None:
        super().setUp()
        self._folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        (self._folder / "schema.json").write_text(json.dumps(SCHEMA))

    def _run(self, *arguments: str | Path) -> click.testing.Result:
        result = click.testing.CliRunner().invoke(main, [str(argument) for argument in arguments])
        self.assertNotIn("Traceback", result.output)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def _prepare(self, kind: str, file: str, content: bytes, *options: str) -> click.testing.Result:
        (self._folder / file).write_bytes(content)
        given: list[str | Path] = [] if kind == "criteo" else ["--schema", self._folder / "schema.json"]
        split = ["--validation", "0.2", "--test", "0.2"]
        return self._run("prepare", kind, self._folder / file, self._folder / "data", *given, *split, *options)

    def _refused(self, result: click.testing.Result, message: str) -> None:
        self.assertEqual(result.exit_code, 1, result.output)
        self.assertRegex(result.output, message)
        # Neither data nor half of them.
        self.assertFalse((self._folder / "data").exists())
        self.assertEmpty(list(self._folder.glob(".*")))

    def test_the_corpus_is_large(self) -> None:
        self.assertGreaterEqual(len(ROWS) + len(FILES), 60)

    @parameterized.named_parameters((name, *case) for name, case in ROWS.items())
    def test_row_is_located_and_can_be_left_out(self, kind: str, content: bytes, message: str) -> None:
        self._refused(self._prepare(kind, "log.csv", content), message)
        result = self._prepare(kind, "log.csv", content, "--max-bad-rows", "3")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertRegex(result.output, r"[123] malformed rows left out, listed in \S*rejected.tsv")
        listed = (self._folder / "data" / "rejected.tsv").read_text().splitlines()[1:]
        manifest = json.loads((self._folder / "data" / "manifest.json").read_text())
        self.assertLen(listed, manifest["rejected"])
        self.assertEqual(listed[0].split("\t")[1], "31" if kind == "criteo" else "32")
        self.assertEqual(sum(split["rows"] for split in manifest["splits"].values()), 60)
        self.assertEqual(self._run("data", "check", self._folder / "data").exit_code, 0)

    @parameterized.named_parameters((name, *case) for name, case in FILES.items())
    def test_log_is_refused(self, kind: str, file: str, content: bytes, message: str) -> None:
        self._refused(self._prepare(kind, file, content), message)

    @parameterized.named_parameters(
        ("byte_order_mark", b"\xef\xbb\xbf" + _csv()),
        ("carriage_returns", _csv(newline=b"\r\n")),
        ("no_last_newline", _csv()[:-1]),
        ("blank_lines_at_the_end", _csv() + b"\n\r\n\n"),
        ("compressed", gzip.compress(_csv())),
        ("fraction_of_a_time", _csv().replace(b",2,1,30", b",2.25,1,30")),
        ("label_as_pandas_writes_it", _csv().replace(b"\n1,", b"\n1.0,").replace(b"\n0,", b"\n False,")),
        ("separator_after_the_last_tag", _csv().replace(b"a|b", b"a|b|")),
        (
            "a_further_column",
            b"".join(line + b",%d\n" % n if n else line + b",n\n" for n, line in enumerate(_csv().splitlines())),
        ),
    )
    def test_harmless_oddities_change_nothing(self, content: bytes) -> None:
        self.assertEqual(self._prepare("csv", "log.csv", content).exit_code, 0)
        odd = {path.name: path.read_bytes() for path in (self._folder / "data").glob("clicks-*")}
        shutil.rmtree(self._folder / "data")
        self.assertEqual(self._prepare("csv", "log.csv", _csv()).exit_code, 0)
        self.assertEqual(odd, {path.name: path.read_bytes() for path in (self._folder / "data").glob("clicks-*")})

    def test_parquet_of_another_type(self) -> None:
        table = pa.table({name: [["x"]] * 9 for name in HEADER.decode().split(",")})
        pq.write_table(table, self._folder / "written")
        content = (self._folder / "written").read_bytes()
        self._refused(self._prepare("parquet", "log.parquet", content), "column 'click': holds lists")
        self._refused(self._prepare("parquet", "log.parquet", content[:-20]), "cannot be read as Parquet")

    def test_missing_and_unreadable_files(self) -> None:
        schema = self._folder / "schema.json"
        self._refused(
            self._run("prepare", "csv", self._folder / "no.csv", self._folder / "data", "--schema", schema),
            "no.csv: .*No such file",
        )
        self._refused(
            self._run("prepare", "csv", self._folder / "*.tsv", self._folder / "data", "--schema", schema),
            "no file has",
        )
        self._refused(
            self._run("prepare", "csv", schema, self._folder / "data", "--schema", self._folder / "no.json"),
            "no.json: cannot be read",
        )

    def test_targets_that_cannot_be_written(self) -> None:
        (self._folder / "file").write_text("")
        (self._folder / "log.csv").write_bytes(_csv())
        prepare: list[str | Path] = ["prepare", "csv", self._folder / "log.csv"]
        schema: list[str | Path] = ["--schema", self._folder / "schema.json"]
        self._refused(
            self._run(*prepare, self._folder / "file" / "data", *schema), "cannot be written: Not a directory"
        )
        self._refused(self._run(*prepare, "/proc/nowhere/data", *schema), "cannot be written: ")
        self._refused(self._run(*prepare, "/dev/full/data", *schema), "cannot be written: Not a directory")
        (self._folder / "link").symlink_to("/")
        self._refused(self._run(*prepare, self._folder / "link", *schema), "link: already exists")
        (self._folder / "link").unlink()

    # -- prepared data that was changed

    def _damaged(self, damage: Callable[[Path, dict[str, Any]], None], message: str) -> None:
        self.assertEqual(self._prepare("csv", "log.csv", _csv()).exit_code, 0)
        data = self._folder / "data"
        manifest = json.loads((data / "manifest.json").read_text())
        damage(data, manifest)
        if (data / "manifest.json").exists():
            (data / "manifest.json").write_text(json.dumps(manifest))
        result = self._run("data", "check", data)
        self.assertEqual(result.exit_code, 1, result.output)
        self.assertRegex(result.output, message)

    @parameterized.named_parameters(
        ("no_manifest", lambda data, m: (data / "manifest.json").unlink(), "no manifest.json, so this is not prepared"),
        ("missing_shard", lambda data, m: next(data.glob("clicks-test*")).unlink(), "the shard is missing"),
        ("empty_shard", lambda data, m: next(data.glob("clicks-test*")).write_bytes(b""), "has 0 bytes instead of"),
        ("cut_shard", lambda data, m: os.truncate(next(data.glob("clicks-test*")), 50), "has 50 bytes instead of"),
        ("flipped_byte", lambda data, m: _flip(next(data.glob("clicks-test*"))), "record 0: cannot be read"),
        ("another_version", lambda data, m: m.update(format_version=1), "format version 1; this version reads 3"),
        ("version_text", lambda data, m: m.update(format_version="2"), "format_version: .*valid integer"),
        ("negative_rows", lambda data, m: m["splits"]["test"].update(rows=-3), "splits.test.rows"),
        ("wrong_rows", lambda data, m: m["splits"]["test"].update(rows=99), "splits.test: 99 rows .* shards have 12"),
        ("wrong_clicks", lambda data, m: m["splits"]["test"].update(clicks=0), "the test split: .*the manifest has"),
        ("lacking_split", lambda data, m: m["splits"].pop("test"), "the split 'test' is missing"),
        ("unknown_key", lambda data, m: m.update(sees=1), "unknown key 'sees'; did you mean 'seed'"),
        ("other_schema", lambda data, m: m["schema"]["categorical"][0].update(cardinality=11), "schema was changed"),
        ("out_of_the_folder", lambda data, m: m["splits"]["test"]["shards"][0].update(file="../../etc/passwd"),
         r"splits.test.shards\[0\].file: string should match"),
        ("absolute_shard", lambda data, m: m["splits"]["test"]["shards"][0].update(file="/etc/passwd"),
         r"splits.test.shards\[0\].file: string should match"),
    )  # fmt: skip
    def test_damaged_data_are_named(self, damage: Callable[[Path, dict[str, Any]], None], message: str) -> None:
        self._damaged(damage, message)

    def test_manifest_that_is_no_json(self) -> None:
        for content, message in (
            (b"{", "manifest.json, line"),
            (b"\xff", "not UTF-8"),
            (b"[1]", "holds a list"),
            (b"", "holds nothing"),
        ):
            shutil.rmtree(self._folder / "data", ignore_errors=True)
            self.assertEqual(self._prepare("csv", "log.csv", _csv()).exit_code, 0)
            (self._folder / "data" / "manifest.json").write_bytes(content)
            result = self._run("data", "check", self._folder / "data")
            self.assertEqual(result.exit_code, 1, result.output)
            self.assertRegex(result.output, message)

    def test_symlink_out_of_the_folder(self) -> None:
        self.assertEqual(self._prepare("csv", "log.csv", _csv()).exit_code, 0)
        shard = next((self._folder / "data").glob("clicks-test*"))
        shard.rename(self._folder / "elsewhere")
        shard.symlink_to(self._folder / "elsewhere")
        result = self._run("data", "check", self._folder / "data")
        self.assertEqual(result.exit_code, 1, result.output)
        self.assertRegex(result.output, "is a symbolic link")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


if __name__ == "__main__":
    tf.test.main()
