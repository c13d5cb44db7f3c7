import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.helpers.studies import stored, tiny_config, tiny_data
from tfrs_scaling.accelerators import TPUS, tpu_chips, usable_gpus
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import (
    ALONE,
    StrategyName,
    Worker,
    accelerators,
    check_jobs,
    choose_strategy,
    count_cores,
    make_strategy,
    memory_limit,
    on_one_gpu,
    on_own_device,
    this_worker,
)
from tfrs_scaling.input.batches import batches
from tfrs_scaling.input.manifest import SPLITS
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.model.dlrm import DLRM
from tfrs_scaling.model.embedding import TFRSEmbedding, ids_by_feature
from tfrs_scaling.study.trials import Trial, all_trials
from tfrs_scaling.training.isolation import IsolatedError, run_isolated
from tfrs_scaling.training.trial import Build, measure_ladder

TWO = {"worker": ["a:1", "b:2"]}


def tf_config(cluster: object = TWO, task: object = None) -> dict[str, str]:
    """The environment of a worker."""
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task or {"type": "worker", "index": 1}})}


class StrategyTest(tf.test.TestCase, parameterized.TestCase):
    def test_asked_for(self) -> None:
        self.assertEqual(choose_strategy("cpu"), ("cpu", "--strategy cpu"))

    def test_gpu_asked_for_and_not_usable_stops_with_both_ways_out(self) -> None:
        if usable_gpus():
            self.skipTest("this machine has a GPU")
        cases: tuple[tuple[StrategyName, str, str], ...] = (
            ("gpu", "x86_64", r"\[gpu\]"), ("mirrored", "x86_64", r"\[gpu\]"), ("gpu", "aarch64", "built without CUDA"),
        )  # fmt: skip
        for name, processor, why in cases:
            with (
                mock.patch("platform.machine", return_value=processor),
                self.assertRaisesRegex(InputError, f"--strategy {name}: .* no GPU; .*{why}.*--strategy cpu"),
            ):
                choose_strategy(name)

    def test_tpu_asked_for_and_not_there_stops(self) -> None:
        if any(Path("/dev").glob("accel[0-9]*")) or any(Path("/dev/vfio").glob("[0-9]*")):
            self.skipTest("this machine may have a TPU")
        with mock.patch.dict(os.environ, {}, clear=True), self.assertRaisesRegex(InputError, "tpu: .* has no TPU"):
            choose_strategy("tpu")
        with (
            mock.patch.dict(os.environ, {"TPU_NAME": "local"}, clear=True),
            self.assertRaisesRegex(InputError, r"TPU_NAME is set \(local\): this machine has no TPU"),
        ):
            choose_strategy("auto")
        with (
            mock.patch.dict(os.environ, {"TPU_NAME": "node-7"}, clear=True),
            self.assertRaisesRegex(InputError, r"TPU_NAME is set \(node-7\): there is no libtpu"),
        ):
            choose_strategy("auto")

    def test_auto_prefers_tpu_then_workers_then_gpu_then_cpu(self) -> None:
        for environment, gpus, usable, expected, why in (
            ({"TPU_NAME": "local", **tf_config()}, 1, 1, "tpu", r"TPU_NAME is set \(local\)"),
            (tf_config(), 1, 1, "multi_worker", "TF_CONFIG names 2 workers, of which this is number 1"),
            (tf_config({"worker": ["a:1"]}, {"type": "worker", "index": 0}), 1, 1, "gpu", "^1 NVIDIA GPU$"),
            ({"TF_CONFIG": "{}"}, 4, 4, "gpu", "^4 NVIDIA GPUs$"),
            ({"CUDA_VISIBLE_DEVICES": "GPU-5ae0,-1,0"}, 4, 1, "gpu", "^1 NVIDIA GPU$"),
            (
                {"CUDA_VISIBLE_DEVICES": "GPU-5ae0,-1,0"},
                4,
                0,
                "cpu",
                "^4 NVIDIA GPUs, but TensorFlow cannot",
            ),
            ({}, 4, 0, "cpu", r"^4 NVIDIA GPUs, but .*\[gpu\].*--strategy cpu"),
            ({"CUDA_VISIBLE_DEVICES": "-1"}, 4, 4, "cpu", "neither"),
            ({"CUDA_VISIBLE_DEVICES": ""}, 4, 4, "cpu", "neither"),
            ({}, 0, 4, "cpu", "neither"),
        ):
            nodes = [Path(f"/dev/nvidia{gpu}") for gpu in range(gpus)]
            with (
                mock.patch.dict(os.environ, environment, clear=True),
                mock.patch("tfrs_scaling.hardware.Path.glob", return_value=nodes),
                mock.patch("tfrs_scaling.hardware.usable_gpus", return_value=usable),
                mock.patch("tfrs_scaling.hardware.libtpu", return_value=Path(__file__)),
                mock.patch("platform.machine", return_value="x86_64"),
            ):
                chosen = choose_strategy("auto")
                self.assertEqual(chosen[0], expected)
                self.assertRegex(chosen[1], why)

    @parameterized.parameters(
        # What /proc/self/cgroup says, files below /sys/fs/cgroup, affinity; cores of 64 and GiB of 16 left.
        ("0::/\n", {"cpu.max": "max 100000", "memory.max": "max"}, 64, 64, 16),
        ("0::/\n", {"cpu.max": "350000 100000", "memory.max": str(3 << 30)}, 64, 3, 3),
        ("0::/\n", {"cpu.max": "50000 100000"}, 64, 1, 16),
        ("0::/\n", {"memory.max": str(64 << 30)}, 8, 8, 16),
        ("", {}, 8, 8, 16),
        # A group's own limit may be wider than that of one around it.
        ("0::/a/b\n", {"a/memory.max": str(2 << 30), "a/b/memory.max": "max", "a/cpu.max": "200000 100000"}, 8, 2, 2),
        # A container that sees itself as the root, and its name as it is outside.
        ("0::/kubepods/pod7\n", {"memory.max": str(2 << 30)}, 8, 8, 2),
        (
            "4:cpu,cpuacct:/docker/7\n3:memory:/docker/7\n1:name=systemd:/docker/7\n",
            {"memory/docker/7/memory.limit_in_bytes": str(5 << 30), "memory/memory.limit_in_bytes": str(2**63 - 4096),
             "cpu/docker/7/cpu.cfs_quota_us": "400000", "cpu/docker/7/cpu.cfs_period_us": "100000",
             "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8, 4, 5,
        ),
    )  # fmt: skip
    def test_cores_and_memory_are_the_container_s(
        self, groups: str, files: dict[str, str], affinity: int, cores: int, gibibytes: int
    ) -> None:
        root = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(f"{content}\n")
        (root / "groups").write_text(groups)
        with (
            mock.patch("os.cpu_count", return_value=64),
            mock.patch("os.sched_getaffinity", return_value=set(range(affinity))),
            mock.patch("psutil.virtual_memory", return_value=mock.Mock(total=16 << 30)),
            mock.patch("tfrs_scaling.hardware.GROUPS", root),
            mock.patch("tfrs_scaling.hardware.OWN_GROUPS", root / "groups"),
        ):
            self.assertEqual(count_cores(), cores)
            place = "this container" if gibibytes < 16 else "this machine"
            self.assertEqual(memory_limit(), (gibibytes << 30, place))

    def test_one_trial_at_a_time_where_it_takes_all_devices(self) -> None:
        for strategy in ("tpu", "mirrored", "multi_worker"):
            check_jobs(strategy, 1)
            check_jobs(strategy, None)
            with self.assertRaisesRegex(InputError, f"--jobs: 2 under {strategy}, wh.*; leave it out"):
                check_jobs(strategy, 2)
        check_jobs("gpu", 2)
        check_jobs("cpu", 2)

    def test_jobs_take_turns_on_gpus(self) -> None:
        with mock.patch("tfrs_scaling.hardware.usable_gpus", return_value=2):
            for job in range(5):
                self.assertEqual(on_own_device("gpu", job, print, 1), (on_one_gpu, job % 2, print, 1))
            self.assertEqual(on_own_device("cpu", 3, print, 1), (print, 1))

    def test_a_model_has_to_fit_in_the_memory_of_what_it_is_on(self) -> None:
        with mock.patch("tfrs_scaling.hardware.gpu_memory", return_value=(40 << 30, 16 << 30)):
            on = {name: accelerators(name) for name in ("gpu", "mirrored")}
        self.assertEqual({name: (each.bytes >> 30, each.replicas) for name, each in on.items() if each},
                         {"gpu": (16, 1), "mirrored": (16, 2)})  # fmt: skip
        self.assertIsNone(accelerators("cpu"))

    def test_tpu_is_known_by_its_pci_devices(self) -> None:
        root = Path(self.get_temp_dir()) / "pci"
        for number, (vendor, device) in enumerate([("0x8086", "0x0063"), *[("0x1ae0", "0x0063")] * 4]):
            (root / str(number)).mkdir(parents=True)
            (root / str(number) / "vendor").write_text(f"{vendor}\n")
            (root / str(number) / "device").write_text(f"{device}\n")
        with mock.patch("tfrs_scaling.accelerators.PCI_DEVICES", root):
            self.assertEqual(tpu_chips(), (TPUS["0x0063"], 4))
            on = accelerators("tpu")
            assert on is not None
            self.assertEqual((on.bytes, on.replicas, on.shards_tables), (16 * 10**9, 4, False))
            self.assertRegex(on.note, "TPU v5e, 4 chips: .*all tables on every chip and updated densely")
            for number in range(5):
                (root / str(number) / "device").write_text("0x9999\n")
            self.assertIsNone(tpu_chips())

    def test_this_worker_is_numbered_as_tensorflow_numbers_it(self) -> None:
        chief = {"chief": ["c:1"], **TWO}
        for environment, expected in (
            ({}, ALONE),
            (tf_config(), Worker(1, 2)),
            (tf_config(chief, {"type": "chief", "index": 0}), Worker(0, 3)),
            (tf_config(chief, {"type": "worker", "index": 0}), Worker(1, 3)),
        ):
            with mock.patch.dict(os.environ, environment, clear=True):
                self.assertEqual(this_worker(), expected)
                if environment:
                    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
                    spec, task = resolver.cluster_spec(), (resolver.task_type, resolver.task_id)
                    places = [(job, index) for job in spec.jobs for index in range(spec.num_tasks(job))]
                    self.assertEqual(places[expected.index], task)

    @parameterized.parameters(
        ("{", r"TF_CONFIG, line 1"),
        (os.fsdecode(b'{"\xff": 1}'), r"TF_CONFIG: not UTF-8 text \(byte 2\)"),
        ("[]", r"TF_CONFIG: should hold a mapping"),
        (json.dumps({"cluster": TWO}), r"needs the mappings 'cluster' and 'task'"),
        (tf_config({"worker": "a:1"})["TF_CONFIG"], r"cluster\.worker should be a list of HOST:PORT, is 'a:1'"),
        (tf_config({"worker": ["a", "b"]})["TF_CONFIG"], r"cluster\.worker should be a list of HOST:PORT"),
        (tf_config(task={"type": "ps", "index": 0})["TF_CONFIG"], r"task\.type should be worker \(or chief\), is 'ps'"),
        (tf_config(task={"type": "worker", "index": 2})["TF_CONFIG"], r"task\.index .* below 2; is 2"),
        (tf_config(task={"type": "worker", "index": "1"})["TF_CONFIG"], r"task\.index .* is '1'"),
    )
    def test_malformed_tf_config_is_told_in_words(self, text: str, message: str) -> None:
        with mock.patch.dict(os.environ, {"TF_CONFIG": text}, clear=True), self.assertRaisesRegex(InputError, message):
            choose_strategy("auto")

    def test_multi_worker_without_tf_config_says_how_to_set_it(self) -> None:
        with (
            mock.patch.dict(os.environ, {}, clear=True),
            self.assertRaisesRegex(InputError, r"it is not set.*\n?.*HOST0:PORT"),
        ):
            choose_strategy("multi_worker")

    def test_cpu_is_tensorflow_s_default(self) -> None:
        self.assertEqual(make_strategy("cpu").num_replicas_in_sync, 1)

    @parameterized.parameters("gpu", "mirrored")
    def test_without_gpu_says_so(self, name: Any) -> None:
        with (
            mock.patch.object(tf.config, "get_visible_devices", return_value=[]),
            self.assertRaisesRegex(RuntimeError, f"--strategy {name}: TensorFlow finds no GPU"),
        ):
            make_strategy(name)

    def test_trial_on_one_gpu_sees_no_other(self) -> None:
        with (
            mock.patch.object(tf.config, "list_physical_devices", return_value=["gpu0", "gpu1"]),
            mock.patch.object(tf.config, "set_visible_devices") as visible,
            mock.patch.object(tf.config, "get_visible_devices", lambda _: visible.call_args.args[0:1]),
            mock.patch.object(tf.config.experimental, "set_memory_growth") as grow,
        ):
            self.assertEqual(on_one_gpu(1, lambda name: make_strategy(name).num_replicas_in_sync, "gpu"), 1)
            visible.assert_called_once_with("gpu1", "GPU")
            grow.assert_called_once_with("gpu1", True)
            with self.assertRaisesRegex(RuntimeError, "finds 2 GPUs, and this trial needs number 2"):
                on_one_gpu(2, self.fail)

    def test_gpus_of_several_workers_grow_their_memory_before_the_strategy_starts_them(self) -> None:
        calls = mock.Mock()
        with (
            mock.patch.dict(os.environ, tf_config(), clear=True),
            mock.patch.object(tf.config, "get_visible_devices", return_value=["gpu0", "gpu1"]),
            mock.patch.object(tf.config.experimental, "set_memory_growth", calls.grow),
            mock.patch.object(tf.distribute, "MultiWorkerMirroredStrategy", calls.start),
        ):
            self.assertIs(make_strategy("multi_worker"), calls.start.return_value)
        self.assertEqual(
            calls.mock_calls, [mock.call.grow("gpu0", True), mock.call.grow("gpu1", True), mock.call.start()]
        )

    @parameterized.parameters(({}, "local"), ({"TPU_NAME": "node-7"}, "node-7"))
    def test_tpu_is_found_connected_initialised_and_only_then_used(
        self, environment: dict[str, str], name: str
    ) -> None:
        calls = mock.Mock()
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(tf.distribute.cluster_resolver, "TPUClusterResolver", calls.resolve),
            mock.patch.object(tf.config, "experimental_connect_to_cluster", calls.connect),
            mock.patch.object(tf.tpu.experimental, "initialize_tpu_system", calls.initialise),
            mock.patch.object(tf.distribute, "TPUStrategy", calls.use),
        ):
            self.assertIs(make_strategy("tpu"), calls.use.return_value)
        resolver = calls.resolve.return_value
        self.assertEqual(
            calls.mock_calls,
            [
                mock.call.resolve(name),
                mock.call.connect(resolver),
                mock.call.initialise(resolver),
                mock.call.use(resolver),
            ],
        )


class WithoutTpuTest(tf.test.TestCase):
    """What a TPU would be fed, seen on two CPU devices in the place of its cores."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir()) / self._testMethodName
        self.folder.mkdir()

    def test_trial_feeds_a_tpu_batches_of_one_static_size_with_ids_by_feature_from_the_host(self) -> None:
        config = tiny_config()
        arguments = (all_trials(config)[0], config, tiny_data(config, self.folder / "data"), self.folder, "tpu", 1)
        log, none = self.folder / "log.txt", threading.Event()
        fed, layer, evaluated = run_isolated(_fed_to_two_cores, arguments, log, lambda _: None, none)
        self.assertEqual(layer, TFRSEmbedding.__name__)
        self.assertTrue(np.isfinite(evaluated))
        self.assertLen(fed, 3)  # training, test and validation
        for fetched_to_device, shapes in fed:
            self.assertIs(fetched_to_device, False)
            self.assertEqual(
                shapes,
                {"dense": [64, 2], "ids": {"user": [64], "item": [64]}, "label": [64], "weight": [64]},
            )

    def test_tensorflow_that_is_not_built_for_tpus_says_what_to_install(self) -> None:
        log = self.folder / "log.txt"
        with self.assertRaisesRegex(
            IsolatedError, "not built for TPUs; install as tpu-constraints.txt says .*OpKernel"
        ):
            run_isolated(_start_tpu, (), log, print, threading.Event())

    def test_multi_hot_ids_are_ragged_with_a_static_number_of_rows(self) -> None:
        schema = Schema("y", (CategoricalFeature("one", 5), CategoricalFeature("many", 4, max_values=3, separator="|")))
        rng = np.random.default_rng(0)
        ids = rng.integers(0, 4, (44, 4)).astype(np.int32)
        ids[:, 2:][rng.random((44, 2)) < 0.4] = -1
        columns: dict[str, np.ndarray] = {
            "label": ids[:, :1].astype(np.uint8) % 2,
            "ids": ids,
            "dense": np.zeros((44, 0), np.float32),
        }
        data = stored(self.folder / "data", schema, dict.fromkeys(SPLITS, columns))
        for train, groups in ((True, 5), (False, 6)):
            dataset = batches(data, "test", 8, (5, 4), train=train).map(lambda batch: ids_by_feature(batch, schema))
            many = dataset.element_spec["ids"]["many"]
            self.assertIsInstance(many, tf.RaggedTensorSpec)
            self.assertEqual(many.shape.as_list(), [8, None])
            self.assertEqual(dataset.element_spec["ids"]["one"].shape.as_list(), [8])
            found = [row for batch in dataset for row in batch["ids"]["many"].to_list()]
            self.assertLen(found, 8 * groups)
            for row, values in zip(ids, found, strict=False):
                self.assertEqual(values, [i for i in row[1:] if i >= 0])


def _start_tpu(report: Any) -> None:
    make_strategy("tpu")


def _fed_to_two_cores(
    trial: Trial, config: Config, data: ClickData, directory: Path, *rest: Any
) -> tuple[list[Any], str, float]:
    """Run a trial for a TPU: per dataset, whether it is fetched to the device and its shapes; the embedding layer's
    class; and the validation NE."""
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [half, half])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    distribute = strategy.experimental_distribute_dataset
    fed: list[Any] = []
    layers: list[str] = []

    def seen(dataset: tf.data.Dataset, options: tf.distribute.InputOptions) -> Any:
        shapes = tf.nest.map_structure(lambda spec: spec.shape.as_list(), dataset.element_spec)
        fed.append((options.experimental_fetch_to_device, shapes))
        return distribute(dataset, options)

    class Seen(Build):
        def model(self, steps: int) -> DLRM:
            model = super().model(steps)
            layers.append(type(model.embedding).__name__)
            return model

    strategy.experimental_distribute_dataset = seen
    trained = measure_ladder(Seen(trial, config, data, strategy, on_tpu=True), directory, rest[-1])
    return fed, layers[0], trained.validation_ne[-1]


if __name__ == "__main__":
    tf.test.main()
