"""Which hardware a trial runs on.

The command line asks here before TensorFlow is loaded, so only what runs in a trial's process imports it.
"""

import dataclasses
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from tfrs_scaling.accelerators import gpu_memory, tpu_chips, usable_gpus
from tfrs_scaling.common.environment import libtpu
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.extras import check_tensorflow
from tfrs_scaling.common.strict_yaml import parse_mapping
from tfrs_scaling.common.words import plural

if TYPE_CHECKING:
    import tensorflow as tf

StrategyName = Literal["cpu", "gpu", "mirrored", "multi_worker", "tpu"]


@dataclasses.dataclass(frozen=True)
class Worker:
    """One of several processes that train a trial together.

    Attributes:
        index: from 0, the chief, which alone writes what all of them measured.
        count: how many there are.
    """

    index: int
    count: int


ALONE = Worker(0, 1)


def this_worker() -> Worker:
    """The worker that this process is according to TF_CONFIG; ``ALONE`` if that is not set.

    Raises:
        InputError: TF_CONFIG is malformed, or its task is not in its cluster.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return ALONE
    content = parse_mapping(os.fsencode(text), "TF_CONFIG")
    if not content:
        return ALONE
    cluster, task = content.get("cluster"), content.get("task")
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise _tf_config_error("needs the mappings 'cluster' and 'task'")
    addresses = {job: cluster.get(job, []) for job in ("chief", "worker")}  # some schedulers name the first one chief
    for job, listed in addresses.items():
        if not isinstance(listed, list) or not all(isinstance(address, str) and ":" in address for address in listed):
            raise _tf_config_error(f"cluster.{job} should be a list of HOST:PORT, is {listed!r}")
    kind, index = task.get("type"), task.get("index")
    if kind not in addresses:
        raise _tf_config_error(f"task.type should be worker (or chief), is {kind!r}")
    if type(index) is not int or not 0 <= index < len(addresses[kind]):
        raise _tf_config_error(
            f"task.index should be an index into cluster.{kind}, below {len(addresses[kind])}; is {index!r}"
        )
    before = len(addresses["chief"]) if kind == "worker" else 0
    return Worker(before + index, sum(map(len, addresses.values())))


def choose_strategy(name: StrategyName | Literal["auto"]) -> tuple[StrategyName, str]:
    """The strategy to use, which ``auto`` chooses; and why it was chosen, in words.

    No device is started in this process: device nodes and variables tell what there may be, and a process of its own
    whether TensorFlow can use a GPU.

    Raises:
        InputError: the strategy asked for cannot be used on this machine, TF_CONFIG is missing or malformed, or
            TensorFlow is not installed.
    """
    check_tensorflow()
    if name == "multi_worker" and not os.environ.get("TF_CONFIG"):
        raise _tf_config_error("--strategy multi_worker needs it, and it is not set")
    if name in ("gpu", "mirrored") and not usable_gpus():
        raise InputError(f"--strategy {name}: TensorFlow finds no GPU; {_without_gpu()}")
    if name == "tpu":
        _check_tpu("--strategy tpu")
    if name != "auto":
        return name, f"--strategy {name}"
    if address := os.environ.get("TPU_NAME"):
        _check_tpu(f"TPU_NAME is set ({address})")
        return "tpu", f"TPU_NAME is set ({address})"
    worker = this_worker()
    if worker.count > 1:
        return "multi_worker", f"TF_CONFIG names {worker.count} workers, of which this is number {worker.index}"
    if not (there := _visible_gpu_nodes()):
        return "cpu", "there is neither a TPU (TPU_NAME) nor an NVIDIA GPU"
    if gpus := usable_gpus():
        return "gpu", plural(gpus, "NVIDIA GPU")
    return "cpu", f"{there} NVIDIA GPU{'s' if there > 1 else ''}, but TensorFlow cannot use it: {_without_gpu()}"


# Strategies whose trials use all of a machine's devices, and why.
_ONE_AT_A_TIME = {
    "tpu": "which one process holds at a time",
    "mirrored": "whose trials each take all GPUs",
    "multi_worker": "whose workers all train one trial",
}


def check_jobs(strategy: StrategyName, jobs: int | None) -> None:
    """Check that so many trials can run at a time; None: as many as the hardware allows.

    Raises:
        InputError: a trial takes all devices under this strategy.
    """
    if strategy in _ONE_AT_A_TIME and jobs not in (None, 1):
        raise InputError(f"--jobs: {jobs} under {strategy}, {_ONE_AT_A_TIME[strategy]}; leave it out")


def _without_gpu() -> str:
    """What to do where TensorFlow uses no GPU."""
    if platform.machine() == "x86_64":
        return "pip install 'tfrs_scaling[gpu]' brings the CUDA libraries, --strategy cpu does without"
    return "TensorFlow's package for this processor is built without CUDA, and --strategy cpu does without"


def _visible_gpu_nodes() -> int:
    """NVIDIA GPUs by device nodes (WSL's one stands for any number); 0 if CUDA_VISIBLE_DEVICES hides them."""
    nodes = sum(path.name[len("nvidia") :].isdigit() for path in Path("/dev").glob("nvidia[0-9]*"))
    nodes = nodes or int(Path("/dev/dxg").exists())
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip() in ("", "-1")
    return 0 if hidden else nodes


def _check_tpu(why: str) -> None:
    here = os.environ.get("TPU_NAME", "local") == "local"  # else on another machine
    if here and not any((*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*"))):
        raise InputError(f"{why}: this machine has no TPU (/dev/accel* or /dev/vfio/*); --strategy cpu does without")
    if not libtpu().exists():
        raise InputError(
            f"{why}: there is no libtpu, TensorFlow's library for TPUs; install as tpu-constraints.txt says"
        )


def count_cores() -> int:
    """Cores that this process may use: its share by affinity and its containers' quotas, not the whole machine's."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    quotas = [tuple(limit.split()) for limit in _container_limits("cpu.max")]
    v1 = (_container_limits(f"cpu/cpu.cfs_{part}_us") for part in ("quota", "period"))
    for quota, period in (*quotas, *zip(*v1, strict=False)):
        if quota.isdigit():  # else max or -1: none
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def memory_limit() -> tuple[int, str]:
    """Bytes of memory that this process may use, and whose they are: "this machine" or "this container"."""
    machine = psutil.virtual_memory().total
    limits = [*_container_limits("memory.max"), *_container_limits("memory/memory.limit_in_bytes")]
    container = min((int(limit) for limit in limits if limit.isdigit()), default=machine)  # else max
    return (container, "this container") if container < machine else (machine, "this machine")


@dataclasses.dataclass(frozen=True)
class Accelerators:
    """Devices whose memory, and not the machine's, is what a trial's model has to fit in.

    Attributes:
        bytes: memory of each.
        name: whose memory that is, for the user.
        replicas: devices that share a trial's batches.
        shards_tables: whether they share the tables too; else each has all of them.
        note: what else they are, for the user.
    """

    bytes: int
    name: str
    replicas: int = 1
    shards_tables: bool = False
    note: str = ""


def accelerators(strategy: StrategyName) -> Accelerators | None:
    """What holds a trial's model under a strategy; None: the machine's memory, or a TPU's of unknown size."""
    if strategy in ("gpu", "mirrored") and (gpus := gpu_memory()):
        name = "this machine's GPU" if len(gpus) == 1 else "the smallest of this machine's GPUs"
        return Accelerators(min(gpus), name, len(gpus) if strategy == "mirrored" else 1)
    if strategy == "tpu" and (found := tpu_chips()):
        tpu, chips = found
        note = f"TPU {tpu.name}, {plural(chips, 'chip')}: {tpu.tables}"
        return Accelerators(tpu.chip_bytes, f"a chip of this TPU {tpu.name}", chips, tpu.shards_tables, note)
    return None


GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def _container_limits(file: str) -> Iterator[str]:
    """What a file of cgroup v2 (NAME) or v1 (CONTROLLER/NAME) says in this process's group and in those around it.

    Inside a container the group may be named as it is outside, where it cannot be seen, or be the root.
    """
    controller, _, name = file.rpartition("/")
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    group = "/"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):  # v2's are none
            group = path
    for place in (Path(group), *Path(group).parents):
        try:
            yield (GROUPS / controller / str(place).lstrip("/") / name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue


def on_one_gpu(index: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process that is to use one GPU only.

    The process must not have started a device yet; the index is among the GPUs that it sees.

    Raises:
        RuntimeError: TensorFlow finds no such GPU.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if index >= len(gpus):
        raise RuntimeError(f"--strategy gpu: TensorFlow finds {len(gpus)} GPUs, and this trial needs number {index}")
    tf.config.set_visible_devices(gpus[index], "GPU")
    return function(*arguments)


def on_own_device(strategy: StrategyName, job: int, *call: Any) -> tuple[Any, ...]:
    """A call (function and arguments) as one of several jobs makes it: under ``gpu`` on the GPU that is its turn."""
    return (on_one_gpu, job % max(1, usable_gpus()), *call) if strategy == "gpu" else call


def make_strategy(name: StrategyName) -> "tf.distribute.Strategy":
    """The TensorFlow strategy, with its devices started.

    ``multi_worker`` waits for all workers, and must come before the process's first TensorFlow operation.

    Raises:
        InputError: ``multi_worker`` where TF_CONFIG is malformed.
        RuntimeError: ``gpu`` or ``mirrored`` where TensorFlow finds no GPU; ``tpu`` where it is not built for TPUs.
        ValueError: ``tpu`` where TensorFlow finds no TPU.
    """
    import tensorflow as tf

    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME") or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        try:
            tf.tpu.experimental.initialize_tpu_system(resolver)
        except tf.errors.NotFoundError as error:  # the package tensorflow, beside a libtpu that JAX brought
            raise RuntimeError(
                "--strategy tpu: this TensorFlow is not built for TPUs; install as tpu-constraints.txt says "
                f"({error.message.splitlines()[0]})"
            ) from None
        return tf.distribute.TPUStrategy(resolver)
    if name == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return tf.distribute.get_strategy()
    gpus = tf.config.get_visible_devices("GPU")
    if name in ("gpu", "mirrored") and not gpus:
        raise RuntimeError(f"--strategy {name}: TensorFlow finds no GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if name == "gpu":
        return tf.distribute.get_strategy()  # the first visible GPU
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    this_worker()  # refuses a malformed TF_CONFIG, for which TensorFlow's message names a line of its code
    return tf.distribute.MultiWorkerMirroredStrategy()  # NCCL between GPUs, a ring between CPUs


def _tf_config_error(mistake: str) -> InputError:
    return InputError(
        f"TF_CONFIG: {mistake}. Unset it to work alone, or set it on each machine, its own index in place of 0: "
        'TF_CONFIG=\'{"cluster": {"worker": ["HOST0:PORT", "HOST1:PORT"]}, "task": {"type": "worker", "index": 0}}\''
    )
