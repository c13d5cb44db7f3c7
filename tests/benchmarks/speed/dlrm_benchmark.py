"""How fast DLRM trains: against the stock model of TensorFlow Recommenders, and by its tables' rows.

All models of a race stand in one process and are timed in turn: a machine that slows down slows them alike.
They read the same batches from memory. Ratios are medians over the turns.
"""

import collections
import dataclasses
import fractions
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tests.helpers.logs import synthetic_blocks
from tests.helpers.peers import made_up, ours, peak_memory, stock
from tests.helpers.studies import CONFIGS
from tfrs_scaling.config import Training, read_config
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.model.accounting import forward_flops, training_flops
from tfrs_scaling.model.shape import Shape, baseline_shape, scale

TURNS = 4
BENCH = read_config(CONFIGS / "bench.yaml")
# The tables of MovieLens-1M, and the widths of a study on it.
MOVIELENS = Shape((6041, 3707, 3, 8, 22, 3440, 82, 19), 16, (64,), 0, (128, 64))
MOVIELENS_SCHEMA = Schema("y", tuple(CategoricalFeature(f"c{k}", rows) for k, rows in enumerate(MOVIELENS.table_rows)))

# Operations by a word of their names, which are places in the graph; the first that matches takes them.
PARTS = {
    "input": "IteratorGetNext",
    "update of tables": "update_tables",
    "update of dense layers": "update_dense",
    "unique ids": "embedding/Unique",
    "gather": "embedding",
    "dense layers backward": "gradient_tape.*(bottom|interaction|overarch|logit)",
    "dense layers forward": "bottom|interaction|overarch|logit",
}
# Programs that XLA compiled, by a word of the name of the first kernel that each calls.
PROGRAMS = {
    "interaction forward": "concatenate",
    "sums of gradients by row": "broadcast|scatter",
    "interaction backward": "",
}


class DLRMBenchmark(tf.test.Benchmark):
    """Races and measurements on the shapes of ``tuner_configs/bench.yaml`` and of MovieLens-1M."""

    def benchmark_bench_at_an_eighth_of_the_width(self) -> None:
        self._race_bench(fractions.Fraction(1, 8), steps=30)

    def benchmark_bench(self) -> None:
        self._race_bench(fractions.Fraction(1), steps=12)

    def benchmark_bench_at_eight_times_the_width(self) -> None:
        self._race_bench(fractions.Fraction(8), steps=1, turns=3)

    def benchmark_movielens_in_batches_of_256(self) -> None:
        training = dataclasses.replace(BENCH.training, batch_size=256)
        data = made_up(MOVIELENS, 256, 400)
        self._race("MovieLens shapes, batch 256", training, MOVIELENS, MOVIELENS_SCHEMA, data, TURNS, tuned=True)

    def benchmark_wukong_against_dot(self) -> None:
        """Time per FLOP of Wukong's step and of the step with dot products, on the tables of MovieLens."""
        training = dataclasses.replace(BENCH.training, batch_size=256)
        data, steps = made_up(MOVIELENS, 256, 100), 100
        wukong = dataclasses.replace(MOVIELENS, architecture="wukong")
        shapes = {"dot": MOVIELENS, "dot at 4": scale(MOVIELENS, "A", fractions.Fraction(4))}
        shapes |= {"wukong": wukong, "wukong at 4": scale(wukong, "A", fractions.Fraction(4))}
        runners = {name: ours(training, shape, MOVIELENS_SCHEMA, data) for name, shape in shapes.items()}
        seconds = in_turn(runners, TURNS)
        print("\nWukong against dot, batch 256: milliseconds per step, kFLOPs an example, GFLOP/s")
        for name, of_one in seconds.items():
            flops, step = training_flops(shapes[name], MOVIELENS_SCHEMA).total, float(np.median(of_one)) / steps
            print(f"  {name:12s} {1e3 * step:7.2f} {flops / 1e3:9,.0f} {256 * flops / step / 1e9:7.1f}")
            extras = {"gflops": 256 * flops / step / 1e9}
            self.report_benchmark(iters=steps, wall_time=step, name=f"architecture_{name}", extras=extras)

    def benchmark_rows_of_tables(self) -> None:
        """Time per step at 1/64 to 8 times the rows, every id being as likely as its share of the clicks."""
        schema, baseline = bench_schema(), baseline_shape(BENCH.model, bench_schema())
        runners = {}
        for rows in (fractions.Fraction(1, 64), fractions.Fraction(1), fractions.Fraction(8)):
            shape = baseline if rows == 1 else scale(baseline, "V", rows)
            runners[f"V = {rows}"] = ours(BENCH.training, shape, schema, bench_batches(shape, 12))
        seconds = in_turn(runners, TURNS)
        first = seconds["V = 1/64"]
        print("\ntables' rows: milliseconds per step, and growth from V = 1/64")
        for name, of_one in seconds.items():
            growth = float(np.median(of_one / first)) - 1
            print(f"  {name:8s} {1e3 * np.median(of_one) / 12:7.2f}   {growth:+.1%}")
            self.report_benchmark(
                iters=12, wall_time=float(np.median(of_one)) / 12, name=f"rows_{name}", extras={"growth": growth}
            )

    def _race_bench(self, width: fractions.Fraction, steps: int, turns: int = TURNS) -> None:
        schema, shape = bench_schema(), baseline_shape(BENCH.model, bench_schema())
        shape = shape if width == 1 else scale(shape, "M", width)
        data = bench_batches(shape, steps)
        self._race(f"bench.yaml, width {width}", BENCH.training, shape, schema, data, turns, tuned=False)

    def _race(
        self,
        title: str,
        training: Training,
        shape: Shape,
        schema: Schema,
        data: dict[str, np.ndarray],
        turns: int,
        *,
        tuned: bool,
    ) -> None:
        runners = {"stock": stock(training, shape, schema, data)}
        if tuned:
            runners["stock, 50 steps per call"] = stock(training, shape, schema, data, steps_per_execution=50)
        runners["ours"] = ours(training, shape, schema, data)
        seconds = in_turn(runners, turns)
        peak, flops = matmul_peak(), training_flops(shape, schema).total
        rows = len(data["label"])
        steps = rows // training.batch_size
        print(f"\n{title}: {flops / 1e3:,.0f} kFLOPs an example; matmul peak {peak / 1e9:.0f} GFLOP/s")
        print(f"  {'':26s} {'examples/s':>11s} {'stock':>7s} {'GFLOP/s':>8s} {'of peak':>8s} {'peak memory':>12s}")
        for name, of_one in seconds.items():
            speed, ratio = rows / float(np.median(of_one)), float(np.median(seconds["stock"] / of_one))
            kind: Literal["stock", "ours"] = "ours" if name == "ours" else "stock"
            memory = peak_memory(kind, training, shape, schema)
            print(
                f"  {name:26s} {speed:11,.0f} {ratio:6.2f}x {speed * flops / 1e9:8.1f} {speed * flops / peak:8.0%} "
                f"{memory / 2**20:8,.0f} MiB"
            )
            self.report_benchmark(
                iters=steps,
                wall_time=float(np.median(of_one)) / steps,
                throughput=speed,
                name=f"{title}: {name}",
                extras={"ratio_to_stock": ratio, "gflops": speed * flops / 1e9, "peak_mib": memory / 2**20},
            )
        print_parts(milliseconds_by_part(runners["ours"], steps), training.batch_size, shape, schema, peak)


def bench_schema() -> Schema:
    """The schema of bench.yaml's clicks."""
    assert BENCH.synthetic is not None
    return BENCH.synthetic.schema()


def bench_batches(shape: Shape, steps: int) -> dict[str, np.ndarray]:
    """So many batches of bench.yaml's clicks, one behind the other."""
    assert BENCH.synthetic is not None
    count = steps * BENCH.training.batch_size
    blocks = []
    for block in synthetic_blocks(BENCH.synthetic):
        blocks.append(block)
        if sum(len(b) for b in blocks) >= count:
            break
    ids = np.concatenate([block.codes for block in blocks])[:count].astype(np.int64) % np.array(shape.table_rows)
    dense = np.log1p(np.maximum(np.concatenate([block.dense for block in blocks])[:count], 0))
    label = np.concatenate([block.label for block in blocks])[:count]
    return {"dense": dense.astype(np.float32), "ids": ids.astype(np.int32), "label": label.astype(np.float32)}


def in_turn(runners: dict[str, Callable[[], object]], turns: int) -> dict[str, np.ndarray]:
    """Seconds of each runner in each turn, after two warm-up turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for turn in range(-2, turns):
        for name, run in runners.items():
            started = time.perf_counter()
            run()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - started)
    return {name: np.array(of_one) for name, of_one in seconds.items()}


def matmul_peak() -> float:
    """FLOPs per second of the best of some products of large square matrices."""
    matrix = tf.random.stateless_normal((2048, 2048), (1, 2))
    product = tf.function(tf.matmul)
    best = float("inf")
    for _ in range(12):
        started = time.perf_counter()
        product(matrix, matrix).numpy()
        best = min(best, time.perf_counter() - started)
    return 2 * 2048**3 / best


def milliseconds_by_part(run: Callable[[], object], steps: int) -> collections.Counter[str]:
    """Where a step's time goes; the parts' times on two threads add up, so all may exceed the time of the step."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        run()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    milliseconds: collections.Counter[str] = collections.Counter()
    for plane in space.planes:
        if plane.name != "/host:CPU":
            continue
        for line in plane.lines:
            events = sorted(line.events, key=lambda event: event.offset_ps)
            names = [plane.event_metadata[event.metadata_id].name for event in events]
            for place, (event, name) in enumerate(zip(events, names, strict=True)):
                if name.startswith("CpuExecutable"):
                    kernel = next(n for n in names[place + 1 :] if not n.startswith("Memory"))
                    part = next(part for part, pattern in PROGRAMS.items() if re.search(pattern, kernel))
                elif re.search(r"/.*:\w+$|^IteratorGetNextOp", name):  # an operation is named place/in/the/graph:Kind
                    part = next((part for part, pattern in PARTS.items() if re.search(pattern, name)), "other")
                else:
                    continue
                milliseconds[part] += event.duration_ps / 1e9 / steps
    return milliseconds


def print_parts(
    milliseconds: collections.Counter[str], batch_size: int, shape: Shape, schema: Schema, peak: float
) -> None:
    """Print where a step's time goes and, of arithmetic, the share of the machine's matmul peak that it reaches."""
    forward, both = forward_flops(shape, schema), training_flops(shape, schema)
    # The interaction's own network, where a shape has one, is counted with its dot products.
    dense, dots = forward.bottom + forward.overarch, forward.interaction
    flops = {
        "dense layers forward": dense,
        "dense layers backward": both.bottom + both.overarch - dense,
        "interaction forward": dots,
        "interaction backward": both.interaction - dots,
    }
    total = sum(milliseconds.values())
    print(f"  {'part of a step':26s} {'ms':>8s} {'share':>7s} {'of peak':>8s}")
    for part, ms in milliseconds.most_common():
        reached = f"{flops[part] * batch_size / (ms / 1e3) / peak:8.0%}" if part in flops else ""
        print(f"  {part:26s} {ms:8.2f} {ms / total:7.1%} {reached}".rstrip())


if __name__ == "__main__":
    tf.test.main()
