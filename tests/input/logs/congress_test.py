"""Roll calls of the US Congress, cut to a few members, against their rows in the published log."""

import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow as tf
from click.testing import CliRunner

from tests.helpers.logs import contents, parsed, sent
from tests.helpers.studies import CONFIGS
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs import congress as module
from tfrs_scaling.input.logs.congress import CongressLog, congress
from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.logs.values.cells import read
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import ClickData


def member(name: str, party: str, state: str) -> dict[str, str]:
    return {"display_name": name, "id": name, "party": party, "state": state}


BAKER = {  # data/101/votes/1989/s1
    "category": "nomination",
    "chamber": "s",
    "congress": 101,
    "date": "1989-01-25T17:31:00-05:00",
    "question": "On the Nomination PN128: James Addison Baker, III, of Texas, to be Secretary of State",
    "requires": "1/2",
    "subject": "Nomination - Baker",
    "type": "On the Nomination",
    "vote_id": "s1-101.1989",
    "votes": {
        "Nay": [],
        "Not Voting": [member("S158", "R", "OK")],
        "Present": [],
        "Yea": ["VP", member("S180", "D", "WA"), member("S134", "R", "CO")],
    },
}
_TABLED = "On the Motion to Table S.Amdt. 7 to S.Res. 66 (Omnibus Committee Funding Resolution for 1989 and 1990)"
FUNDING = BAKER | {  # data/101/votes/1989/s14
    "amendment": {"number": 7, "purpose": "To strike the provision that would abolish the cap.", "type": "s"},
    "bill": {
        "congress": 101,
        "number": 66,
        "title": "Omnibus Committee Funding Resolution for 1989 and 1990",
        "type": "sres",
    },
    "category": "procedural",
    "date": "1989-02-28T18:11:00-05:00",
    "question": _TABLED,
    "subject": "Amendment No. 7",
    "type": _TABLED,
    "vote_id": "s14-101.1989",
    "votes": {"Nay": [member("S134", "R", "CO")], "Not Voting": [], "Present": [], "Yea": [member("S180", "D", "WA")]},
}
SPEAKER = BAKER | {"votes": {"Jeffries": [member("A000370", "D", "NC")], "McCarthy": [], "Not Voting": []}}
ADJOURN = {  # data/118/votes/2023/h8
    "category": "procedural",
    "chamber": "h",
    "congress": 118,
    "date": "2023-01-04T20:21:00-05:00",
    "question": "On Motion to Adjourn",
    "requires": "1/2",
    "type": "On the Motion to Adjourn",
    "vote_id": "h8-118.2023",
    "votes": {"Nay": [member("A000370", "D", "NC")], "Not Voting": [], "Present": [], "Yea": []},
}
# The columns that the votes of a roll call have in common, and all rows in the order of time.
OF_BAKER = (
    *("s1-101.1989", "s", "101", "nomination", "On the Nomination", "1/2", "", "", ""),
    *("nomination|baker|james|addison|texas|secretary|state", "17", "2", "601770660"),
)
OF_FUNDING = (
    *("s14-101.1989", "s", "101", "procedural", "On the Motion to Table S.Amdt. 7 to S.Res. 66 (Omnibus Commi", "1/2"),
    *("sres66-101", "sres", "s", "amendment|motion|table|amdt|omnibus|committee|funding|resolution"),
    *("18", "1", "604710660"),
)
OF_ADJOURN = (
    *("h8-118.2023", "h", "118", "procedural", "On the Motion to Adjourn", "1/2", "", "", ""),
    *("motion|adjourn", "20", "2", "1672881660"),
)
ROWS = (
    ("1", "S180", "D", "WA", *OF_BAKER),
    ("1", "S134", "R", "CO", *OF_BAKER),
    ("0", "S134", "R", "CO", *OF_FUNDING),
    ("1", "S180", "D", "WA", *OF_FUNDING),
    ("0", "A000370", "D", "NC", *OF_ADJOURN),
)


class CongressTest(tf.test.TestCase):
    def _folder(self, *calls: Any) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"
        for number, call in enumerate(calls):
            # The order of the files is not that of time.
            place = folder / str(call["congress"]) / "votes" / f"x{9 - number}"
            place.mkdir(parents=True)
            (place / "data.json").write_text(json.dumps(call))
            (place / "data.xml").write_text("<roll/>")
        return folder

    def test_rows_are_those_of_the_published_log(self) -> None:
        log = CongressLog.open((str(self._folder(BAKER, FUNDING, SPEAKER | {"vote_id": "s2"}, ADJOURN)),), congress())
        (cells,) = read(log)
        self.assertAllEqual(cells.positions, range(5))
        columns = (*module.OF_VOTE, *module.OF_ROLL_CALL)
        for name, expected in zip(columns, zip(*ROWS, strict=True), strict=True):
            self.assertEqual([cell.decode() for cell in cells.batch.column(name).to_pylist()], list(expected), name)
        with mock.patch.object(module, "_PIECE", 2):
            self.assertLen(list(read(log)), 3)
            self.assertEqual(contents(parsed(sent(log))[0]), contents(parsed(log)[0]))

    def test_words_are_of_four_letters_once_and_twelve_at_most(self) -> None:
        (cells,) = read(
            CongressLog.open(
                (
                    str(
                        self._folder(
                            BAKER
                            | {"subject": "Aaaa " + " ".join(f"the {letter * 4}," for letter in "bcdefghijklmnAAb")}
                        )
                    ),
                ),
                congress(),
            )
        )
        found = cells.batch.column("words")[0].as_py().decode()
        self.assertEqual(found, "|".join(letter * 4 for letter in "abcdefghijkl"))

    def test_roll_calls_of_one_minute_and_breaks_of_lines_in_a_type(self) -> None:
        """As s99 and s100 of 1992, and s332 of 2003."""
        call = BAKER | {"type": "On the Motion (Motion To Waive CBA \nRE: Durbin Amdt. No. 159) "}
        folder = self._folder(*(call | {"vote_id": f"s{number}-102.1992"} for number in (99, 100)))
        (cells,) = read(CongressLog.open((str(folder),), congress()))
        self.assertEqual(cells.batch.column("rollcall").to_pylist(), [b"s100-102.1992"] * 2 + [b"s99-102.1992"] * 2)
        self.assertEqual(
            set(cells.batch.column("type").to_pylist()),
            {b"On the Motion (Motion To Waive CBA  RE: Durbin Amdt. No. 159"},
        )

    def test_what_is_no_roll_call_is_named(self) -> None:
        with self.assertRaisesRegex(InputError, r"nowhere: no data.json in or below; congress takes folders"):
            CongressLog.open(("nowhere",), congress())
        for call, why in (
            ({"congress": 101}, "is no roll call of unitedstates/congress: it has no 'votes'"),
            (BAKER | {"date": "noon"}, "is no roll call of .*: Invalid isoformat string: 'noon'"),
            (BAKER | {"votes": {"Yea": ["S1"]}}, "is no roll call of"),
        ):
            with self.assertRaisesRegex(InputError, f"data/101/votes/x9/data.json: {why}"):
                list(read(CongressLog.open((str(self._folder(call)),), congress())))
        folder = str(self._folder(BAKER))
        with self.assertRaisesRegex(InputError, "congress: there is no column 'members'; did you mean 'member'"):
            open_log("congress", (folder,), Schema("label", (CategoricalFeature("members", 5),)))

    def test_folders_by_command(self) -> None:
        """The folders of single Congresses are one log, with the schema of the log that ships."""
        calls = [
            ADJOURN
            | {"date": f"2023-01-{day:02}T20:21:00-05:00", "vote_id": f"h{day}-118.2023"}
            | {"votes": {answer: [member(f"A{n}", "D", "NC") for n in range(20)] for answer in ("Aye", "No")}}
            for day in range(1, 10)
        ]
        folders = [str(self._folder(*part)) for part in (calls[:4], calls[4:])]
        out = Path(folders[0]).parent / "out"
        command = ["prepare", "congress", *folders, str(out), "--schema", "congress", "--split", "random"]
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        self.assertEqual(result.exit_code, 0, result.output)
        manifest = ClickData.open(out).manifest
        self.assertEqual(manifest.schema, Schema.read(CONFIGS / "schemas" / "congress.json"))
        self.assertEqual(sum(split.rows for split in manifest.splits.values()), 360)
        (source,) = manifest.sources
        self.assertEqual(source.file, "data data")
        self.assertEqual(source.bytes, sum(len(json.dumps(call)) for call in calls))


if __name__ == "__main__":
    tf.test.main()
