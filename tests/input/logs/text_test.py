"""Delimited text: what is read, and that every malformed file or row is named with its place."""

# mypy: allow-untyped-calls
# (absl has no types)

import bz2
import csv
import gzip
import io
import lzma
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.header import MAX_COLUMNS, text_columns
from tfrs_scaling.input.logs.lines import BLOCK_BYTES, MAX_LINE_BYTES
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.logs.values.cells import POSITION_BITS, Cells, read
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

SCHEMA = Schema("label", (CategoricalFeature("user", 10),), (DenseFeature("age"),))
Read = list[tuple[int, str, str, str]]  # line, label, user, age
TWO: Read = [(2, "1", "ann", "30"), (3, "0", "bob", "")]


def _cells(path: Path, separator: str | None = None, block_bytes: int = BLOCK_BYTES) -> list[Cells]:
    return list(read(TextLog(SCHEMA, (str(path),), separator, block_bytes=block_bytes)))


def _rows(cells: list[Cells]) -> Read:
    return [
        (
            int(ordinal) + block.first,
            *(block.batch.column(name)[i].as_py().decode() for name in ("label", "user", "age")),
        )
        for block in cells
        for i, ordinal in enumerate(block.ordinals)
    ]


def _read(path: Path, separator: str | None = None, block_bytes: int = BLOCK_BYTES) -> Read:
    return _rows(_cells(path, separator, block_bytes))


def _malformed(cells: list[Cells]) -> list[tuple[int, str]]:
    return [(row.line, row.why) for block in cells for row in block.malformed]


def zipped(*texts: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for number, text in enumerate(texts):
            file.writestr(f"part{number}.csv", text)
    return archive.getvalue()


class TextLogTest(parameterized.TestCase, tf.test.TestCase):
    """Files and rows read and refused."""

    def _file(self, content: bytes, name: str = "log.csv") -> Path:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / name
        path.write_bytes(content)
        return path

    def _refused(self, path: Path, separator: str | None = None) -> str:
        with self.assertRaises(InputError) as caught:
            _cells(path, separator)
        return str(caught.exception)

    @parameterized.parameters("\t", ",", ";", "|")
    def test_separator_is_found(self, by: str) -> None:
        text = "label,other,user,age\n1,x,ann,30\n0,,bob,\n".replace(",", by)
        self.assertEqual(_read(self._file(text.encode())), TWO)

    def test_given_separator_is_used(self) -> None:
        path = self._file(b"label^user^age\n1^ann^30\n0^bob^\n")
        self.assertEqual(_read(path, "^"), TWO)
        self.assertIn("(separator ','): there is no column 'label'", self._refused(path, ","))

    @parameterized.parameters("", "ab", "\n", "\r", "\0", '"', "é")
    def test_impossible_separator(self, separator: str) -> None:
        self.assertIn("is not a single ASCII character", self._refused(self._file(b"label,user,age\n"), separator))

    @parameterized.named_parameters(
        ("plain", "log.csv", bytes),
        ("plain_named_gz", "log.csv.gz", bytes),
        ("gz_without_suffix", "log", gzip.compress),
        ("zst", "log.zst", lambda text: pa.compress(text, codec="zstd", asbytes=True)),
        ("zip", "log.zip", zipped),
        ("gz", "log.csv.gz", gzip.compress),
        ("two_gz_members", "log.csv.gz", lambda text: gzip.compress(text[:20]) + gzip.compress(text[20:])),
        ("xz", "log.csv.xz", lzma.compress),
        ("lzma", "log.csv.lzma", lambda text: lzma.compress(text, lzma.FORMAT_ALONE)),
        ("bz2", "log.csv.bz2", bz2.compress),
    )
    def test_compression(self, name: str, compress: Callable[[bytes], bytes]) -> None:
        path = self._file(compress(b"user,label,age\nann,1,30\nbob,0,\n"), name)
        self.assertEqual(_read(path), TWO)

    @parameterized.named_parameters(
        ("bom", b"\xef\xbb\xbflabel,user,age\n1,ann,30\n0,bob,\n"),
        ("crlf", b"label,user,age\r\n1,ann,30\r\n0,bob,\r\n"),
        ("bom_crlf_no_last_newline", b"\xef\xbb\xbflabel,user,age\r\n1,ann,30\r\n0,bob,"),
        ("no_last_newline", b"label,user,age\n1,ann,30\n0,bob,"),
        ("quotes", b'"label","user",age\n"1","ann",30\n0,"bob",""\n'),
        ("blanks_after_names", b"label ,user  ,age\n1,ann,30\n0,bob,\n"),
        ("unused_columns_repeat", b"x,label,x,user,age,x\n,1,,ann,30,\n,0,,bob,,\n"),
    )
    def test_same_rows_however_written(self, content: bytes) -> None:
        self.assertEqual(_read(self._file(content)), TWO)

    def test_quoted_values(self) -> None:
        path = self._file(b'label,user,age\n1,"a, b",1\n0,"say ""hi""",2\n0,5" pipe,3\n')
        self.assertEqual([row[2] for row in _read(path)], ["a, b", 'say "hi"', '5" pipe'])

    def test_tab_leaves_quotes_alone(self) -> None:
        path = self._file(b'label\tuser\tage\n1\t"a\t1\n0\t"b"\t2\n')
        self.assertEqual([row[2] for row in _read(path)], ['"a', '"b"'])

    @parameterized.named_parameters(
        ("near", b"label,usr,age\n", "line 1 (separator ','): there is no column 'user'; did you mean 'usr'?"),
        (
            "nothing_near",
            b"label,age,zip\n",
            "(separator ','): there is no column 'user'; it has 'label', 'age', 'zip'",
        ),
        ("doubled", b"label,user,age,user\n", "line 1: the column 'user' appears twice"),
        ("empty", b"", "line 1: no header line"),
        ("blank", b"\n1,a,2\n", "line 1: no header line"),
        ("not_utf8", b"label,us\xe9r,age\n", "line 1: not UTF-8 text (byte 8)"),
        ("too_long", b"x" * (MAX_LINE_BYTES + 1), "line 1: more than 16 MiB of line"),
        ("too_many", b"label" + b"," * MAX_COLUMNS + b"\n", "line 1: 262,145 columns between ',', more than 262,144"),
        ("carriage_returns", b"label,user,age\r1,a,2\r", "line 1: not a header line: a carriage return without a line"),
    )
    def test_header_mistakes(self, content: bytes, message: str) -> None:
        actual = self._refused(self._file(content))
        self.assertIn("log.csv, line 1", actual)
        self.assertIn(message, actual)

    @parameterized.parameters(b"label,user,age\n", b"label,user,age", b"\xef\xbb\xbflabel,user,age\r\n")
    def test_header_alone_has_no_rows(self, content: bytes) -> None:
        self.assertEqual(_read(self._file(content)), [])

    @parameterized.named_parameters(
        ("gz_cut_in_the_header", "log.csv.gz", lambda text: gzip.compress(text)[:18]),
        ("gz_cut_in_the_middle", "log.csv.gz", lambda text: gzip.compress(text)[:-2000]),
        ("gz_without_its_end", "log.csv.gz", lambda text: gzip.compress(text)[:-4]),
        ("gz_wrong_checksum", "log.csv.gz", lambda text: gzip.compress(text)[:-8] + bytes(8)),
        ("gz_wrong_bits", "log.csv.gz", lambda text: gzip.compress(text)[:10] + b"\xff" * 50),
        ("xz_cut", "log.csv.xz", lambda text: lzma.compress(text)[:-100]),
        ("bz2_cut", "log.csv.bz2", lambda text: bz2.compress(text)[:-100]),
    )
    def test_broken_compression_is_named(self, name: str, spoilt: Callable[[bytes], bytes]) -> None:
        numbers = np.random.default_rng(0).integers(10**9, size=4000)
        text = b"label,user,age\n" + b"".join(b"1,%d,3\n" % n for n in numbers)
        self.assertRegex(self._refused(self._file(spoilt(text), name)), rf"{name}: cannot be read: \w")

    @parameterized.named_parameters(
        ("several_in_zip", zipped(b"label\n", b"label\n"), "is a zip archive of 2 files; unzip it"),
        ("zip_cut", b"PK\x03\x04", "cannot be read: File is not a zip file"),
        ("utf16", "label,user,age\n".encode("utf-16"), "is UTF-16 text; give --encoding utf-16"),
        ("orc", b"ORC\1\2", "is an ORC file; convert it to Parquet"),
        ("avro", b"Obj\1\2", "is an Avro file"),
        ("excel", b"\xd0\xcf\x11\xe0" + bytes(99), "is an Excel workbook; save the sheet as CSV"),
        ("web_page", b"<!DOCTYPE html>\n<html>", "is a web page; was the download refused?"),
        ("git_lfs", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("empty_zip", zipped(), "is an empty zip archive"),
        ("gz_in_gz", gzip.compress(gzip.compress(b"label\n")), "is compressed twice; unpack it once"),
        ("json_lines", b'{"label": 1, "user": "a"}\n', "holds JSON lines, not delimited text; use `prepare jsonl`"),
        ("json_array", b'[\n {"label": 1, "user": "a"}]\n', "is a JSON array; write one object on each line"),
        ("parquet", b"PAR1\1\2", "is parquet, not text; use `prepare parquet`"),
        (
            "zst_cut",
            pa.compress(b"label" * 999, codec="zstd", asbytes=True)[:-4],
            "cannot be read: Truncated",
        ),
    )
    def test_what_a_file_is_instead_of_text(self, content: bytes, message: str) -> None:
        self.assertIn(f"log.csv: {message}", self._refused(self._file(content)))

    @parameterized.parameters("utf-16", "cp1252", "utf-8")
    def test_encoding(self, encoding: str) -> None:
        path = self._file("label,user,age\n1,Müller,30\n".encode(encoding))
        (cells,) = read(TextLog(SCHEMA, (str(path),), encoding=encoding))
        self.assertEqual(_rows([cells]), [(2, "1", "Müller", "30")])

    def test_encoding_that_is_wrong_or_unknown(self) -> None:
        path = str(self._file("label,user,age\n1,Müller,30\n".encode("cp1252")))
        for encoding, message in (
            ("ascii", "not ascii text .*give another --encoding"),
            ("?", "no such encoding"),
        ):
            with self.assertRaisesRegex(InputError, message):
                list(read(TextLog(SCHEMA, (path,), encoding=encoding)))

    @parameterized.product(block_bytes=[16, 50, 333, 8 << 20], quoting=[csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    def test_values_over_several_lines_equal_pandas(self, block_bytes: int, quoting: int) -> None:
        rng = np.random.default_rng(7)
        users = ["\n".join(rng.choice(["a", "b, c", 'say ""', "", "d"], rng.integers(1, 4))) for _ in range(200)]
        frame = pd.DataFrame({"label": "1", "user": users, "age": "3"})
        path = self._file(b"")
        frame.to_csv(path, index=False, quoting=quoting, lineterminator="\n")  # type: ignore[call-overload]
        cells = _cells(path, ",", block_bytes)
        again = pd.read_csv(path, dtype=str, keep_default_na=False, lineterminator="\n")
        self.assertEqual([row[2] for row in _rows(cells)], again["user"].tolist())
        self.assertEmpty(_malformed(cells))

    def test_blanks_after_commas(self) -> None:
        path = self._file(b'label, user, age\n1, ann, 30\n0,  "b, c", 4\n1,"d, e",5\n')
        self.assertEqual([row[2:] for row in _rows(_cells(path))], [("ann", "30"), ("b, c", "4"), ("d, e", "5")])

    @parameterized.parameters(2, 8 << 20)
    def test_names_of_columns_for_a_file_without_header(self, block_bytes: int) -> None:
        for text in (b"1,ann,30\n0,bob,\n\n\n", b"1|ann|30\n0|bob|", b"\xef\xbb\xbf1\x01ann\x0130\n0\x01bob\x01\n"):
            log = TextLog(SCHEMA, (str(self._file(text)),), names=("label", "user", "age"), block_bytes=block_bytes)
            self.assertEqual(_rows(list(read(log))), [(1, "1", "ann", "30"), (2, "0", "bob", "")])
        log = TextLog(SCHEMA, (str(self._file(b"1,2,3,4\n")),), names=("label", "user", "age"))
        with self.assertRaisesRegex(InputError, "line 1: 4 columns, and --columns names 3"):
            list(read(log))

    def test_first_line_that_is_a_row(self) -> None:
        self.assertIn("name the columns with --columns", self._refused(self._file(b"1,2,3\n0,3,4\n")))
        self.assertNotIn("--columns", self._refused(self._file(b"label,usr,age\n")))

    def test_empty_file_beside_others_has_no_rows(self) -> None:
        paths = [str(self._file(content)) for content in (b"", b"label,user,age\n1,a,2\n", gzip.compress(b""))]
        self.assertLen(_rows(list(read(TextLog(SCHEMA, tuple(paths))))), 1)

    def test_column_of_recbole_that_is_in_another_table(self) -> None:
        path = self._file(b"label:float\tuser:token\n1\ta\n", "ml.inter")
        path.with_suffix(".user").write_bytes(b"user:token\tage:float\na\t30\n")
        self.assertIn(
            f"the column 'age' is in {path.with_suffix('.user')}, which is not joined: merge", self._refused(path)
        )

    def test_recbole_names_and_hive_folders(self) -> None:
        folder = self._file(b"").parent / "age=33" / "user=b%20c"
        folder.mkdir(parents=True)
        (folder / "x.inter").write_bytes(b"label:float\tother:token_seq\n1\ta b\n")
        self.assertEqual(_read(folder / "x.inter"), [(2, "1", "b c", "33")])

    def test_directory_and_missing_file(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        self.assertIn(f"{folder}: cannot be read: Is a directory", self._refused(folder))
        self.assertIn("none.csv: cannot be read: No such file", self._refused(folder / "none.csv"))

    @parameterized.parameters(16, 40, 64, 8 << 20)
    def test_ragged_rows_are_located_in_any_block(self, block_bytes: int) -> None:
        lines = ["label,user,age"] + [f"{i % 2},u{i},{i}" for i in range(2, 61)]  # line i of the file holds u<i>
        expected = {2: 2, 3: 4, 17: 1, 18: 1, 30: 2, 31: 4, 59: 2, 60: 2}
        for line, columns in expected.items():
            lines[line - 1] = ",".join("1234"[:columns])
        cells = _cells(self._file("\n".join(lines).encode() + b"\n"), block_bytes=block_bytes)
        self.assertEqual(_malformed(cells), [(line, f"{n} columns instead of 3") for line, n in expected.items()])
        good = [line for line in range(2, 61) if line not in expected]
        self.assertEqual(_rows(cells), [(i, str(i % 2), f"u{i}", str(i)) for i in good])
        if block_bytes == 16:
            self.assertGreater(len(cells), 20)

    @parameterized.product(line=(b"", b"\r"), block_bytes=(16, BLOCK_BYTES))
    def test_blank_line_is_malformed_but_not_at_the_end(self, line: bytes, block_bytes: int) -> None:
        content = b"label,user,age\n1,a,3\n" + line + b"\n0,b,\n" + line + b"\n  \n\n"
        cells = _cells(self._file(content), None, block_bytes)
        self.assertEqual(_rows(cells), [(2, "1", "a", "3"), (4, "0", "b", "")])
        self.assertEqual(_malformed(cells), [(3, "a blank line")])

    def test_random_tables_equal_the_csv_module(self) -> None:
        rng = np.random.default_rng(5)
        letters = np.array(list('ab,;" é0|☃'))
        rows = [["".join(rng.choice(letters, rng.integers(6))) for _ in range(3)] for _ in range(500)]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([["label", "user", "age"], *rows])
        for block_bytes in (37, 1000):
            read = _read(self._file(text.getvalue().encode()), ",", block_bytes)
            self.assertEqual(read, [(i, *row) for i, row in enumerate(rows, 2)])

    @parameterized.product(block_bytes=[30, 8 << 20])
    def test_open_quote_costs_its_own_line_alone(self, block_bytes: int) -> None:
        content = b'label,user,age\n1,a,1\n1,"b,2\n0,c,3\n0,5" pipe,4\n1,"two\nlines",5\n0,"d",6\n'
        cells = _cells(self._file(content), block_bytes=block_bytes)
        good = [(2, "a"), (4, "c"), (5, '5" pipe'), (6, "two\nlines"), (8, "d")]
        self.assertEqual([(row[0], row[2]) for row in _rows(cells)], good)
        self.assertEqual([line for line, _ in _malformed(cells)], [3])
        self.assertIn("does not end on its line", _malformed(cells)[0][1])

    def test_carriage_return_inside_a_line(self) -> None:
        cells = _cells(self._file(b"label\tuser\tage\n1\ta\rb\t1\n0\tc\t2\n"))
        self.assertEqual(_rows(cells), [(3, "0", "c", "2")])
        self.assertEqual([line for line, _ in _malformed(cells)], [2])

    def test_short_row_that_is_not_utf8(self) -> None:
        cells = _cells(self._file(b"label,user,age\n1,\xff\n0,c,2\n"))
        self.assertEqual(_rows(cells), [(3, "0", "c", "2")])
        self.assertEqual(cells[0].malformed[0].value, "1,\\xff")
        self.assertEqual(_malformed(cells), [(2, "2 columns instead of 3")])

    def test_line_longer_than_a_block(self) -> None:
        path = self._file(b"label,user,age\n1,a,1\n0," + b"x" * 1000 + b",2\n1,b,3\n")
        cells = _cells(path, block_bytes=16)
        self.assertEqual([(row[0], len(row[2])) for row in _rows(cells)], [(2, 1), (3, 1000), (4, 1)])

    @parameterized.named_parameters(
        ("line", b"1,a,1\n0,", b"x" * (MAX_LINE_BYTES + 9), "line 3: more than 16 MiB of line;"),
        (
            "line_after_an_open_quote",
            b'1,"a,1\n0,',
            b"x" * (MAX_LINE_BYTES + (9 << 20)),
            "line 3: more than 16 MiB of line",
        ),
        ("blank_lines", b"1,a,1\n", b"\n" * (MAX_LINE_BYTES + (9 << 20)), "line 3: more than 16 MiB of blank lines"),
    )
    def test_bomb_of_a_few_kilobytes(self, rows: bytes, filling: bytes, message: str) -> None:
        packed = gzip.compress(b"label,user,age\n" + rows + filling + b",2\n", 9)
        self.assertLess(len(packed), 64 << 10)
        self.assertIn(f"log.csv, {message}", self._refused(self._file(packed)))

    def test_header_longer_than_128_kib(self) -> None:
        names = [f"column_{i}" for i in range(20_000)]
        path = self._file(("\t".join(["label", "user", "age", *names]) + "\n" + "\t1" * 20_003)[:-1].encode())
        self.assertLen(text_columns(str(path)), 20_003)
        self.assertEqual(
            _read(self._file(f"label,user,age,{','.join(names)}\n1,a,2{',' * 20_000}\n".encode()))[0][0], 2
        )

    @parameterized.parameters(30, 8 << 20)
    def test_header_again_in_the_middle_is_no_row(self, block_bytes: int) -> None:
        header, row = b"label,user,age\r\n", b"1,ann,30\r\n"
        cells = _cells(self._file(header + row + header + row * 2 + header + row), block_bytes=block_bytes)
        self.assertEqual([row[0] for row in _rows(cells)], [2, 4, 5, 7])
        self.assertEqual([line for line, why in _malformed(cells) if why.startswith("the header line again")], [3, 6])

    def test_later_file_without_the_header(self) -> None:
        paths = tuple(str(self._file(text)) for text in (b"label,user,age\n1,a,2\n", b"0,b,4\n1,c,5\n"))
        with self.assertRaisesRegex(InputError, rf"{paths[1]}, line 1: looks like a row, and {paths[0]} begins with a"):
            list(read(TextLog(SCHEMA, paths)))

    @parameterized.parameters(16, 100, 8 << 20)
    def test_positions_are_those_in_the_log_whatever_the_blocks(self, block_bytes: int) -> None:
        lines = [f"{i % 2},u{i},{i}" if i % 9 else "short" for i in range(50)]
        paths = [str(self._file("\n".join(["label,user,age", *part]).encode())) for part in (lines[:20], lines[20:])]
        cells = list(read(TextLog(SCHEMA, tuple(paths), block_bytes=block_bytes)))
        positions = np.concatenate([block.positions for block in cells]).tolist()
        expected = [i if i < 20 else (1 << POSITION_BITS) + i - 20 for i in range(50) if i % 9]
        self.assertEqual(positions, expected)
        self.assertEqual({block.file for block in cells}, set(paths))
        self.assertEqual([row[0] for row in _malformed(cells)], [2, 11, 20, 9, 18, 27])

    def test_pieces_are_parsed_in_any_order(self) -> None:
        path = self._file(b"label,user,age\n" + b"".join(b"%d,u%d,\n" % (i % 2, i) for i in range(100)))
        log = TextLog(SCHEMA, (str(path),), block_bytes=64)
        pieces = list(log.pieces(0))
        backwards = [log.cells(piece) for piece in reversed(pieces)]
        self.assertGreater(len(pieces), 10)
        self.assertEqual(_rows(backwards[::-1]), [(i + 2, str(i % 2), f"u{i}", "") for i in range(100)])

    def test_columns_under_the_separator_that_gives_the_most(self) -> None:
        self.assertEqual(text_columns(str(self._file(b"a;b|c;d,e;f\n"))), ["a", "b|c", "d,e", "f"])
        self.assertEqual(text_columns(str(self._file(b'\xef\xbb\xbf"a, b",c\r\n'))), ["a, b", "c"])


if __name__ == "__main__":
    tf.test.main()
