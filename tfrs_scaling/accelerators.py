"""GPUs and TPUs as far as they can be known without starting them in this process."""

import dataclasses
import functools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

GB, GIB = 10**9, 1 << 30


@functools.cache
def gpu_memory() -> tuple[int, ...]:
    """Bytes of each GPU that TensorFlow can use, as much as is free now; asked in a process of its own: asking would
    start the GPUs in this one."""
    ask = (
        "import json; from tensorflow.python.client import device_lib; "
        "print(json.dumps([d.memory_limit for d in device_lib.list_local_devices() if d.device_type == 'GPU']))"
    )
    asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)  # noqa: S603
    lines = asked.stdout.splitlines()
    return tuple(json.loads(lines[-1])) if asked.returncode == 0 and lines else ()


def usable_gpus() -> int:
    """GPUs that TensorFlow can use."""
    return len(gpu_memory())


@dataclasses.dataclass(frozen=True)
class TPU:
    """A generation of TPUs.

    Attributes:
        chip_bytes: memory (HBM) of a chip.
        shards_tables: whether embedding tables are spread over all chips; else each chip has all of them.
        tables: how they are looked up and updated.
    """

    name: str
    chip_bytes: int
    shards_tables: bool
    tables: str


_TPU_EMBEDDING = "TPUEmbedding, tables spread over the chips and updated row by row"
_SPARSE_CORE = "SparseCores, tables spread over the chips and updated row by row"
# By PCI device (those of jax/_src/hardware_utils.py). Memory: cloud.google.com/tpu/docs/v3, v4, v5p, v5e, v6e, in the
# units written there. How tables are looked up: TensorFlow's HardwareFeature.EmbeddingFeature V1, V2 and UNSUPPORTED.
TPUS = {
    "0x0027": TPU("v2", 16 * GIB, True, f"{_TPU_EMBEDDING} (a v3, with the same device number, has twice the memory)"),
    "0x005e": TPU("v4", 32 * GIB, True, "tables spread over the chips and updated row by row"),
    "0x0062": TPU("v5p", 95 * GB, True, _SPARSE_CORE),
    "0x0063": TPU("v5e", 16 * GB, False, "no embedding hardware, all tables on every chip and updated densely"),
    "0x006f": TPU("v6e", 32 * GB, True, _SPARSE_CORE),
}
_GOOGLE = "0x1ae0"
PCI_DEVICES = Path("/sys/bus/pci/devices")


def tpu_chips() -> tuple[TPU, int] | None:
    """This machine's TPU and how many chips it has, by its PCI devices; None if there is none of ``TPUS``."""
    found: Counter[str] = Counter()
    for vendor in PCI_DEVICES.glob("*/vendor"):
        if vendor.read_text(encoding="ascii").strip() == _GOOGLE:
            found[vendor.with_name("device").read_text(encoding="ascii").strip()] += 1
    known = [(TPUS[device], count) for device, count in found.items() if device in TPUS]
    return known[0] if known else None
