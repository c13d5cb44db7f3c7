"""Tests of the renderings of an answer: each shows the same data."""

import dataclasses
import json
import shlex

import numpy as np
import tensorflow as tf

from tests.fit.advice.choice_test import BASELINE, use
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.choice import choose
from tfrs_scaling.fit.advice.settle import Settle

OVERRIDES = ("sweep.V=[4]", "sweep.seeds=[0, 1]")
CHOICE = choose([use("V", 0.79), *(use(scheme, 0.799) for scheme in "HOM"), use("d", 0.80), use("Vd", 0.805)], BASELINE)
DO = Advice(
    "compute=10x", 0.95, "Because a < b.", BASELINE, CHOICE.answer, CHOICE.options, ("One.", "Two."),
    Settle("Seeds would settle it.", OVERRIDES),
)  # fmt: skip
OPEN = Advice("compute=10x", 0.95, "Why not.", settle=Settle("No runs would settle it."))


class AdviceTest(tf.test.TestCase):
    def test_an_answer_or_not_enough_evidence(self) -> None:
        self.assertEqual((DO.verdict, OPEN.verdict), ("do", "not enough evidence"))
        self.assertIn("V at 4×", DO.answer)
        self.assertIn("10 times the compute", OPEN.answer)

    def test_reasons_quote_the_numbers_of_the_answer(self) -> None:
        assert DO.do is not None
        expected = " ".join(DO.reasons)
        for number in (BASELINE.ne, DO.do.use.ne, DO.do.gain, DO.do.low, DO.do.high):
            self.assertIn(f"{number:.4f}", expected)

    def test_what_to_do_until_there_are_enough_rows(self) -> None:
        [now] = [option for option in CHOICE.options if option.use.levers == {"H"}]
        told = dataclasses.replace(DO, rows=1500, now=now)
        self.assertIn("1,500 rows", told.reasons[2])
        self.assertIn("Until then: H at 4×", told.reasons[2])
        self.assertIn("nothing", dataclasses.replace(DO, rows=1500).reasons[2])
        self.assertEqual(told.to_dict()["now"]["scheme"], "H")
        self.assertIsNone(DO.to_dict()["now"])

    def test_the_decision_is_two_of_its_lines(self) -> None:
        self.assertEqual(DO.decision, (f"{DO.answer} {DO.reasons[0]}", DO.reasons[1]))
        told = dataclasses.replace(DO, rows=1500)
        self.assertEqual(told.decision, (DO.decision[0], told.reasons[2]))
        self.assertEqual(OPEN.decision, (OPEN.answer, OPEN.why))

    def test_runs_that_cannot_be_started_are_a_reason_and_others_a_command(self) -> None:
        self.assertEqual(OPEN.reasons, ("Why not.", "No runs would settle it."))
        self.assertEmpty(OPEN.details)
        self.assertNotIn("Seeds would settle it.", DO.reasons)
        command = shlex.split(DO.details[-1].command.replace("\\\n", ""))  # as a shell joins its lines
        self.assertEqual(command[:2], ["tfrs-scaling", "study"])
        self.assertEqual(tuple(command[command.index("--set") + 1 :: 2]), OVERRIDES)
        self.assertEqual(command, shlex.split(" ".join(DO.details[-1].items)))

    def test_the_first_five_options_how_many_more_and_which_lose(self) -> None:
        options = DO.details[0].items
        self.assertLen(options, 6)
        self.assertStartsWith(options[0], "V at 4×")
        self.assertEqual(options[-1], "worse than the baseline: V at 4×, 2× the data")
        more = choose([use("V", 0.79), *(use(scheme, 0.799) for scheme in "HOMFN")], BASELINE).options
        self.assertStartsWith(dataclasses.replace(DO, options=more).details[0].items[-1], "1 more")
        self.assertNotIn("not distinguishable", options[0])
        self.assertIn("not distinguishable", options[1])

    def test_terminal_and_page_show_all_of_it(self) -> None:
        text, page = str(DO), DO._repr_html_()
        for detail in DO.details:
            for part in (detail.summary, *detail.items):
                self.assertIn(part, text)
        for reason in DO.reasons:
            self.assertIn(reason, text)
        self.assertStartsWith(text, DO.answer)
        self.assertIn("Because a &lt; b.", page)
        self.assertNotIn("a < b", page)
        self.assertEqual(page.count("<details>"), len(DO.details))
        self.assertEqual(OPEN.lines(), [OPEN.answer, *OPEN.reasons])

    def test_json_holds_the_data(self) -> None:
        content = json.loads(json.dumps(DO.to_dict(), allow_nan=False))
        self.assertEqual((content["verdict"], content["answer"], content["reasons"]), ("do", DO.answer, [*DO.reasons]))
        self.assertEqual([option["levers"] for option in content["options"][:1]], [["V"]])
        self.assertEqual(content["do"]["gain"], content["baseline"]["ne"] - content["do"]["ne"])
        self.assertEqual(set(content["baseline"]["times_baseline"].values()), {1})
        self.assertEqual(content["settle"]["overrides"], [*OVERRIDES])
        self.assertIsNone(OPEN.to_dict()["baseline"])
        unknown = dataclasses.replace(DO, options=choose([use("V", 0.79, error=np.nan)], BASELINE).options)
        self.assertIsNone(unknown.to_dict()["options"][0]["low"])


if __name__ == "__main__":
    tf.test.main()
