"""Tests of budgets as they are typed."""

import math

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.advice.budget import read_budget

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

NOW = {"compute": 1e12, "data": 5e5, "params": 1e6, "hours": 0.5}


class BudgetTest(tf.test.TestCase):
    def test_amounts(self) -> None:
        for text, name, amount in (
            ("compute=10x", "compute", 1e13), ("compute=3e15", "compute", 3e15), ("params=2M", "params", 2e6),
            ("hours=12", "hours", 12), ("data=2×", "data", 1e6), (" params = 1.5x ", "params", 1.5e6),
            ("data=1.5M", "data", 1.5e6), ("params=3B", "params", 3e9), ("compute=2P", "compute", 2e15),
            ("data=600k", "data", 6e5), ("hours=.75", "hours", 0.75), ("compute=1e1x", "compute", 1e13),
        ):  # fmt: skip
            self.assertAllClose(read_budget(text).allowed(NOW)[name], amount, msg=text)

    def test_several_limits_hold_together(self) -> None:
        budget = read_budget("compute=10x,data=2x")
        self.assertEqual(budget.allowed(NOW), {"compute": 1e13, "data": 1e6, "params": math.inf, "hours": math.inf})

    def test_data_grow_where_something_pays_for_them(self) -> None:
        grows = {text: read_budget(text).grows_data for text in ("compute=2x", "data=2x", "hours=9", "params=2x")}
        self.assertEqual(grows, {"compute=2x": True, "data=2x": True, "hours=9": True, "params=2x": False})

    def test_mistakes_are_located(self) -> None:
        for text, said in (
            ("compte=10x", "unknown resource 'compte'; did you mean 'compute'?"),
            ("money=3", "unknown resource 'money'; there are compute, data, params, hours"),
            ("compute", "'compute' has no amount; write compute=10x"),
            ("compute=", "'' is no amount of compute"),
            ("compute=ten", "'ten' is no amount of compute; write compute=10x"),
            ("compute=-3x", "'-3x' is no amount"), ("compute=0x", "'0x' is no amount"),
            ("compute=1e999", "'1e999' is no amount"), ("compute=nan", "'nan' is no amount"),
            ("compute=2x,compute=3x", "'compute' stands twice"), ("", "unknown resource ''"),
            ("compute=10x,", "unknown resource ''"),
        ):  # fmt: skip
            with self.assertRaises(InputError, msg=text) as caught:
                read_budget(text)
            self.assertIn(said, str(caught.exception))
            self.assertStartsWith(str(caught.exception), f"--budget {text!r}")

    def test_less_than_now_is_refused(self) -> None:
        with self.assertRaisesRegex(InputError, "10 training FLOPs are less .* compute=10x would be 10 times as much"):
            read_budget("compute=10").allowed(NOW)
        with self.assertRaisesRegex(InputError, "2.5e.05 training examples are less than the 5e.05"):
            read_budget("data=0.5x").allowed(NOW)
        self.assertEqual(read_budget("data=1x").allowed(NOW)["data"], 5e5)


if __name__ == "__main__":
    tf.test.main()
