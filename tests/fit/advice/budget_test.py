"""Tests of budgets as they are typed."""

import math

import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.advice.budget import read_budget

BASELINE = {"compute": 1e12, "data": 5e5, "params": 1e6, "hours": 0.5}


class BudgetTest(tf.test.TestCase):
    def test_amounts(self) -> None:
        for text, name, amount in (
            ("compute=10x", "compute", 1e13), ("compute=3e15", "compute", 3e15), ("params=2M", "params", 2e6),
            ("hours=12", "hours", 12), ("data=2×", "data", 1e6), (" params = 1.5x ", "params", 1.5e6),
            ("data=1.5M", "data", 1.5e6), ("params=3B", "params", 3e9), ("compute=2P", "compute", 2e15),
            ("data=600k", "data", 6e5), ("hours=.75", "hours", 0.75), ("compute=1e1x", "compute", 1e13),
        ):  # fmt: skip
            self.assertAllClose(read_budget(text).allowed(BASELINE)[name], amount, msg=text)

    def test_several_limits_hold_together(self) -> None:
        allowed = read_budget("compute=10x,data=2x").allowed(BASELINE)
        self.assertEqual(allowed, {"compute": 1e13, "data": 1e6, "params": math.inf, "hours": math.inf})

    def test_data_grow_where_something_pays_for_them(self) -> None:
        grows = {text: read_budget(text).grows_data for text in ("compute=2x", "data=2x", "hours=9", "params=2x")}
        self.assertEqual(grows, {"compute=2x": True, "data=2x": True, "hours=9": True, "params=2x": False})

    def test_mistakes_are_located(self) -> None:
        for text, *said in (
            ("compte=10x", "'compte'", "did you mean 'compute'?"),
            ("money=3", "'money'", "compute, data, params, hours"),
            ("compute", "no amount", "compute=10x"), ("compute=", "''", "compute=10x"), ("compute=ten", "'ten'"),
            ("compute=-3x", "'-3x'"), ("compute=0x", "'0x'"), ("compute=1e999", "'1e999'"), ("compute=nan", "'nan'"),
            ("compute=2x,compute=3x", "'compute'", "twice"), ("", "''"), ("compute=10x,", "''"),
        ):  # fmt: skip
            with self.assertRaises(InputError, msg=text) as caught:
                read_budget(text)
            for part in (f"--budget {text!r}", *said):
                self.assertIn(part, str(caught.exception))

    def test_less_than_the_baseline_used_is_refused(self) -> None:
        with self.assertRaisesRegex(InputError, "compute=10x would be"):  # a forgotten x
            read_budget("compute=10").allowed(BASELINE)
        with self.assertRaisesRegex(InputError, r"2\.5e.05 .* 5e.05"):
            read_budget("data=0.5x").allowed(BASELINE)
        self.assertEqual(read_budget("data=1x").allowed(BASELINE)["data"], 5e5)


if __name__ == "__main__":
    tf.test.main()
