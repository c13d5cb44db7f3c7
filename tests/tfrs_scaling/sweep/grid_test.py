import concurrent.futures
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
import keras_tuner as kt
import tensorflow as tf
from keras_tuner.src import protos

from tests.helpers.studies import tiny_config, tiny_content
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.study.lead import LeadLostError
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.sweep.grid import (
    IDLE,
    REFUSED,
    RUNNING,
    STOPPED,
    UNREACHABLE,
    GridOracle,
    OracleClient,
    grid,
    served,
    trial_of,
    values_of,
)
from tfrs_scaling.sweep.runner import OBJECTIVE


class GridTest(tf.test.TestCase):
    def oracle(self, config: Config) -> GridOracle:
        oracle = GridOracle(config, Path(self.get_temp_dir()) / self._testMethodName)
        oracle.add(all_trials(config))
        return oracle

    def test_grid_is_the_union_of_the_schemes(self) -> None:
        config = tiny_config(V=["1/4", "1/2", 2], H=[2], M=["1/2", 4], seeds=[0, 1])
        space = grid(config)
        self.assertEqual(
            {p.name for p in space.space} - {"multiplier_V", "multiplier_H", "multiplier_M"},
            {"scheme", "architecture", "learning_rate", "seed"},
        )
        values = {"scheme": "V", "multiplier_V": "1/4", "learning_rate": 0.04, "seed": 1}
        self.assertEqual(trial_of(values, config).trial_id, "V-1_4-lr0.04-seed1")

    def test_points_are_the_trials(self) -> None:
        axes: dict[str, Any] = {"V": ["1/2", 2], "H": [2, 4, "1/4"], "VH": True, "F": ["1/2"], "E": [2], "A": ["cross"],
                                "T": ["1/4", 1]}  # fmt: skip
        axes["P"] = {"keep": ["1/2", "1/4"], "by": ["random"]}
        content = tiny_content(**axes, seeds=[0, 1]) | {"teacher": {"examples": 256}}
        content["training"]["learning_rates"] = [0.02, 0.04]
        config = validated(Config, content, "tiny")
        oracle, trials = self.oracle(config), all_trials(config)
        self.assertEqual(oracle.names, [trial.trial_id for trial in trials])
        # D and cross, V, H, both, F, E, T and P; each at two rates and seeds.
        self.assertLen(trials, (2 + 2 + 3 + 2 * 3 + 1 + 1 + 2 + 2) * 2 * 2)
        self.assertEqual([trial_of(values_of(trial, config), config) for trial in trials], trials)
        self.assertEqual([trial_of(t.hyperparameters.values, config) for t in oracle.trials.values()], trials)

    def test_points_of_scaled_architectures_are_the_trials(self) -> None:
        config = tiny_config(V=["1/2"], A={"wukong": ["1/4", 4], "cross": ["1/4"], "mlp": [1], "dot": [2]})
        oracle, trials = self.oracle(config), all_trials(config)
        self.assertEqual(oracle.names, [trial.trial_id for trial in trials])
        self.assertEqual([trial_of(values_of(trial, config), config) for trial in trials], trials)
        self.assertEqual([trial_of(t.hyperparameters.values, config) for t in oracle.trials.values()], trials)

    def test_trials_wait_are_handed_out_taken_back_and_finished(self) -> None:
        config = tiny_config(V=["1/2"], O=[2])
        oracle = self.oracle(config)
        baseline, vertical, overarch = oracle.names
        self.assertEqual(oracle.waiting, oracle.names)
        oracle.waiting = [overarch, baseline, vertical]
        trial = oracle.create_trial("a")
        self.assertEqual((trial.status, oracle.name(trial)), (RUNNING, overarch))
        oracle.assign(vertical, "b")
        self.assertEqual((oracle.running, oracle.waiting), ({"a": overarch, "b": vertical}, [baseline]))
        self.assertEqual(oracle.take_back("a"), overarch)
        self.assertEqual(oracle.waiting, [overarch, baseline])
        oracle.rename_tuner("b", "c")
        self.assertEqual(oracle.running, {"c": vertical})
        for name in (overarch, baseline):
            self.assertEqual(oracle.name(oracle.create_trial("a")), name)
            oracle.finish(name, {"status": "failed", "reason": "odd"})
        self.assertEqual(oracle.create_trial("a").status, IDLE)
        oracle.finish(vertical, {"status": "ok", "reason": "", OBJECTIVE: 0.5})
        self.assertEqual(oracle.create_trial("a").status, STOPPED)
        self.assertEqual([t.score for t in oracle.get_best_trials()], [0.5])
        again = kt.Oracle(objective=kt.Objective(OBJECTIVE, "min"))  # as KerasTuner reads what it has saved
        again._set_project_dir(self.get_temp_dir(), self._testMethodName)
        again.reload()
        self.assertEqual((again.end_order, again.ongoing_trials), (oracle.end_order, {}))
        self.assertEqual([t.score for t in again.get_best_trials()], [0.5])

    def test_points_added_while_others_run_wait_behind_them(self) -> None:
        config = tiny_config(V=["1/2"], O=[2])
        baseline, *others = all_trials(config)
        oracle = GridOracle(config, Path(self.get_temp_dir()) / self._testMethodName)
        oracle.add([baseline])
        self.assertEqual(oracle.name(oracle.create_trial("a")), baseline.trial_id)
        self.assertEqual(oracle.create_trial("b").status, IDLE)
        oracle.add(others)
        oracle.finish(baseline.trial_id, {"status": "stopped", "reason": "its learning rate is worse"})
        for tuner, trial in zip("ab", others, strict=True):
            self.assertEqual(oracle.name(oracle.create_trial(tuner)), trial.trial_id)

    def test_keras_tuner_can_read_its_files_while_many_are_not_written_yet(self) -> None:
        config, folder = tiny_config(V=["1/2"], seeds=list(range(200))), Path(self.get_temp_dir(), "many")
        oracle = GridOracle(config, folder)
        oracle.add(all_trials(config))
        written = len(list(folder.glob("trial_*")))
        self.assertLess(written, 400)
        self.assertEqual(oracle.create_trial("a").status, RUNNING)
        again = kt.Oracle(objective=kt.Objective(OBJECTIVE, "min"))
        again._set_project_dir(str(folder.parent), folder.name)
        again.reload()
        self.assertLen(again.trials, written)
        for name in oracle.names:
            oracle.waiting = [other for other in oracle.waiting if other != name]
            oracle.finish(name, {"status": "failed", "reason": "odd"})
        again.reload()
        self.assertLen(again.trials, 400)
        self.assertEqual({trial.status for trial in again.trials.values()}, {"FAILED"})

    def test_where_its_files_cannot_be_written_no_trial_seems_to_run(self) -> None:
        folder = Path(self.get_temp_dir()) / self._testMethodName
        oracle = GridOracle(tiny_config(V=["1/2"]), folder)
        folder.write_text("in the way")
        with self.assertRaises((OSError, tf.errors.OpError)):
            oracle.add(all_trials(tiny_config(V=["1/2"])))
        self.assertEqual(oracle.running, {})

    def test_served_trial_is_the_client_s_and_nothing_without_the_token(self) -> None:
        ended: list[tuple[str, bool]] = []
        with (
            concurrent.futures.ThreadPoolExecutor(1) as thread,
            served(
                lambda tuner_id: (RUNNING, f"trial of {tuner_id}"), lambda *end: ended.append(end), "127.0.0.1:0",
                "right-token-12345", thread,
            ) as port,
        ):  # fmt: skip
            address = f"127.0.0.1:{port}"
            for token in ("wrong-token-12345", "right-token-1234", "right-token-123456"):
                client = OracleClient(address, token, 10.0)
                for call in (lambda: client.create_trial("a"), lambda: client.end_trial("b")):  # noqa: B023
                    with self.assertRaises(grpc.RpcError) as refused:
                        call()
                    self.assertEqual(refused.exception.code(), REFUSED)
            with grpc.insecure_channel(address) as channel:
                stub, service = protos.get_service_grpc().OracleStub(channel), protos.get_service()
                empty = protos.get_proto().HyperParameters()
                for method, request in (
                    ("GetSpace", service.GetSpaceRequest()), ("GetTrial", service.GetTrialRequest(trial_id="0000")),
                    ("UpdateSpace", service.UpdateSpaceRequest(hyperparameters=empty)),
                    ("GetBestTrials", service.GetBestTrialsRequest(num_trials=9)),
                ):  # fmt: skip
                    with self.assertRaises(grpc.RpcError) as refused:
                        getattr(stub, method)(request, timeout=10.0)
                    self.assertEqual(refused.exception.code(), REFUSED, method)
            self.assertEqual(ended, [])
            client = OracleClient(address, "right-token-12345", 10.0)
            self.assertEqual(client.create_trial("a"), (RUNNING, "trial of a"))
            client.end_trial("b")
            client.end_trial("c", give_back=True)
        self.assertEqual(ended, [("b", False), ("c", True)])

    def test_chief_that_was_replaced_is_as_one_that_is_gone(self) -> None:
        def lost(*_: Any) -> Any:
            raise LeadLostError

        with (
            concurrent.futures.ThreadPoolExecutor(1) as thread,
            served(lost, lost, "127.0.0.1:0", "right-token-12345", thread) as port,
        ):
            client = OracleClient(f"127.0.0.1:{port}", "right-token-12345", 10.0)
            for call in (lambda: client.create_trial("a"), lambda: client.end_trial("b")):
                with self.assertRaises(grpc.RpcError) as failed:
                    call()
                self.assertIn(failed.exception.code(), UNREACHABLE)

    def test_what_keras_tuner_does_not_document_is_still_there(self) -> None:
        """Every undocumented name that the program relies on: if one is gone, sweep/grid.py needs a new way."""
        self.assertRegex(metadata.version("keras-tuner"), r"^1\.4\.")
        oracle = kt.Oracle(
            objective=kt.Objective(OBJECTIVE, "min"), hyperparameters=grid(tiny_config()), allow_new_entries=False,
            tune_new_entries=False,
        )  # fmt: skip
        for name, kind in (
            ("_retry_queue", list), ("ongoing_trials", dict), ("trials", dict), ("verbose", int),
        ):  # fmt: skip
            self.assertIsInstance(getattr(oracle, name), kind, name)
        self.assertTrue(callable(oracle._set_project_dir))
        self.assertTrue(callable(oracle._save_trial) and callable(oracle._check_consecutive_failures))
        status = kt.engine.trial.TrialStatus
        for name in ("RUNNING", "IDLE", "STOPPED", "COMPLETED", "FAILED", "INVALID", "to_proto", "from_proto"):
            self.assertTrue(hasattr(status, name), name)
        for module, names in (
            (protos.get_service_grpc(), ("OracleStub", "OracleServicer", "add_OracleServicer_to_server")),
            (
                protos.get_service(),
                ("CreateTrialRequest", "CreateTrialResponse", "EndTrialRequest", "EndTrialResponse"),
            ),
            (protos.get_proto(), ("Trial",)),
        ):
            for name in names:
                self.assertTrue(hasattr(module, name), name)


if __name__ == "__main__":
    tf.test.main()
