"""Times in many forms, against pandas and the standard library."""

# mypy: allow-untyped-calls
# (absl has no types)

import datetime
import email.utils

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.input.logs.values.times import BAD, DATE, NUMBER, are_day_first, mixed_units, parse_times

NOON = 1593878903  # 2020-07-04 16:08:23 UTC


class TimesTest(parameterized.TestCase, tf.test.TestCase):
    """``parse_times``."""

    @parameterized.parameters(
        "2020-07-04 16:08:23", "2020-07-04T16:08:23Z", "2020-07-04T18:08:23+02:00", "2020-07-04 11:08:23.999-0500",
        "2020/7/4 16:08:23", "20200704T160823Z", "20200704 16:08:23", "04.07.2020 16:08:23", "4 Jul 2020 16:08:23",
        "04/Jul/2020:16:08:23 +0000", "Sat, 04 Jul 2020 16:08:23 GMT", "Jul 4, 2020 4:08:23 PM",
        "July 4, 2020, 16:08:23",
        "Sat Jul  4 16:08:23 2020", "Sat Jul 04 16:08:23 +0000 2020", " 2020-07-04 16:08:23 UTC",
        "2020-07-04 16:08:23 pm",
    )  # fmt: skip
    def test_one_moment(self, text: str) -> None:
        times, kinds = parse_times(pa.array([text]))
        if "pm" in text:
            self.assertEqual(kinds.tolist(), [BAD])
        else:
            self.assertEqual((times.tolist(), kinds.tolist()), ([NOON], [DATE]))

    def test_numbers_of_any_unit_lose_their_fraction(self) -> None:
        texts = ["0", "-5", "+7", str(NOON * 10**9), "1593878903.438", "1.5e3", ".5", "-0.5", "512.0"]
        times, kinds = parse_times(pa.array(texts))
        self.assertEqual(times.tolist(), [0, -5, 7, NOON * 10**9, NOON, 1500, 0, -1, 512])
        self.assertEqual(set(kinds.tolist()), {NUMBER})

    @parameterized.parameters(
        "", "noon", "nan", "inf", "1 2", "2020-13-01", "2021-02-29", "2020-07-04 24:00", "2020-07-04 16:60", "9" * 25,
        "04/07/2020", "4-7-20", "13:00 PM", "Foo 4, 2020", "1e300", "0x10",
    )  # fmt: skip
    def test_bad(self, text: str) -> None:
        self.assertEqual(parse_times(pa.array([text]))[1].tolist(), [BAD])

    def test_units_are_mixed_where_every_time_is_of_one_and_they_differ(self) -> None:
        seconds = np.array([0, -5, NOON, NOON + 9])  # no time at all is often 0 or less
        self.assertEqual(mixed_units(seconds), [])
        self.assertEqual(mixed_units(np.append(seconds, NOON * 1000)), ["seconds", "milliseconds"])
        self.assertEqual(mixed_units(np.array([NOON * 10**9, NOON * 10**6])), ["microseconds", "nanoseconds"])
        for counter in (np.arange(0, 10**12, 10**9 - 7), np.array([], np.int64), np.array([20200704160823, 20200705])):
            self.assertEqual(mixed_units(counter), [])

    def test_odd_times_hide_no_mixture_and_dates_of_8_digits_are_no_seconds(self) -> None:
        seconds = NOON + np.arange(9)
        self.assertEqual(mixed_units(np.concatenate([[1], seconds, seconds[:2] * 1000])), ["seconds", "milliseconds"])
        self.assertEqual(mixed_units(np.append(seconds, 20200704)), ["seconds", "dates of 8 digits"])
        for single in (np.append(seconds, [1, 19999999]), np.array([20200704, 20200705]), np.arange(1, 10**9, 10**4)):
            self.assertEqual(mixed_units(single), [])

    def test_day_first(self) -> None:
        texts = pa.array([" 06.07.2020 12:00", "2020.07.06", "6.7.2020", "x"])
        self.assertEqual(are_day_first(texts).tolist(), [True, False, True, False])

    def test_random_moments_equal_pandas(self) -> None:
        rng = np.random.default_rng(1)
        seconds = rng.integers(-(2**32), 2**33, 500)
        moments = [
            datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=int(s)) for s in seconds
        ]
        zone = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
        for texts in (
            [moment.isoformat() for moment in moments],
            [moment.astimezone(zone).isoformat(" ", "microseconds") for moment in moments],
            [moment.strftime("%d.%m.%Y %H:%M:%S") for moment in moments],
            [moment.strftime("%b %d, %Y %I:%M:%S %p") for moment in moments],
            [email.utils.format_datetime(moment) for moment in moments],
        ):
            times, kinds = parse_times(pa.array(texts))
            self.assertAllEqual(times, seconds)
            self.assertEqual(set(kinds.tolist()), {DATE})
        dates = pd.date_range("1896-02-27", "2104-03-02", freq="D")
        times, _ = parse_times(pa.array(dates.strftime("%Y-%m-%d").tolist()))
        self.assertAllEqual(times, (dates - pd.Timestamp(0)) // pd.Timedelta("1s"))


if __name__ == "__main__":
    tf.test.main()
