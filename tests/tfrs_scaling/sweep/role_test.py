import json
import os
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.sweep.role import Role, is_leader, this_role


class RoleTest(tf.test.TestCase, parameterized.TestCase):
    def test_as_kerastuner_says(self) -> None:
        with mock.patch.dict(os.environ, {"KERASTUNER_TUNER_ID": "chief"}):
            self.assertIsNone(this_role())
        variables = {"KERASTUNER_ORACLE_IP": "10.0.0.1", "KERASTUNER_ORACLE_PORT": "8000"}
        for name, is_chief in (("chief", True), ("worker0", False)):
            with mock.patch.dict(os.environ, variables | {"KERASTUNER_TUNER_ID": name}):
                role = this_role()
                assert role is not None
                self.assertEqual((role, role.is_chief), (Role(name, "10.0.0.1:8000"), is_chief))

    @parameterized.parameters(
        ({"KERASTUNER_TUNER_ID": "chief"}, "KERASTUNER_ORACLE_PORT: should be the chief's port, is ''"),
        ({"KERASTUNER_TUNER_ID": "chief", "KERASTUNER_ORACLE_PORT": "http"}, "is 'http'"),
        ({"KERASTUNER_TUNER_ID": "chief", "KERASTUNER_ORACLE_PORT": "²"}, "is '²'"),
        ({"KERASTUNER_TUNER_ID": "chief", "KERASTUNER_ORACLE_PORT": "9" * 5000}, "is '999"),
        ({"KERASTUNER_ORACLE_PORT": "8000"}, "KERASTUNER_TUNER_ID: is not set; chief on one machine"),
    )
    def test_what_is_missing_is_named(self, variables: dict[str, str], message: str) -> None:
        with (
            mock.patch.dict(os.environ, {"KERASTUNER_ORACLE_IP": "10.0.0.1", **variables}),
            self.assertRaisesRegex(InputError, message),
        ):
            this_role()

    def test_one_process_leads(self) -> None:
        tf_config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
        chief, worker = (
            {"KERASTUNER_TUNER_ID": name, "KERASTUNER_ORACLE_IP": "10.0.0.1", "KERASTUNER_ORACLE_PORT": "8000"}
            for name in ("chief", "worker0")
        )
        second = {"TF_CONFIG": json.dumps(tf_config)}
        first = {"TF_CONFIG": json.dumps(tf_config | {"task": {"type": "worker", "index": 0}})}
        for variables, strategy, expected in (
            ({}, "cpu", True), (chief, "cpu", True), (worker, "cpu", False), (first, "multi_worker", True),
            (second, "multi_worker", False), (second, "cpu", True),
        ):  # fmt: skip
            with mock.patch.dict(os.environ, variables, clear=True):
                self.assertIs(is_leader(strategy), expected, (variables, strategy))  # type: ignore[arg-type]
        with mock.patch.dict(os.environ, first | chief), self.assertRaisesRegex(InputError, "are both set"):
            is_leader("multi_worker")


if __name__ == "__main__":
    tf.test.main()
