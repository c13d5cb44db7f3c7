"""Models of other libraries, at their usual settings, on the rows that a published study trained its baseline on.

Is the trainer of this project any good? REPRODUCTION.md sets what this measures beside what the studies of the same
data did. The libraries are dependencies of this script alone:

    pip install deepctr lightgbm scikit-learn
    python -m tests.benchmarks.libraries DATA movielens --examples 786432

DATA is prepared as the study's own commands say. A training whose row is in the table already is left out.
"""

import argparse
import datetime
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import sparse, special

from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.fit.report.libraries import LIBRARIES, Library, read_libraries
from tfrs_scaling.input.batches import batches
from tfrs_scaling.input.manifest import SplitName
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import PADDING, ClickData
from tfrs_scaling.training.metrics import Accumulator

TABLE = Path("tuner_configs") / "reproduction" / LIBRARIES
DIMENSION = 16  # of embeddings: that of the studies' baseline
BATCH = 256
TREES = 500
PASSES = 100
BUCKETS = 2**18
_LEAST = 1e-7  # what probabilities in float32 are clipped to before they become logits


class Rows(NamedTuple):
    """Rows of a log: dense float32 [rows, features], ids int32 [rows, slots] and label float32 [rows]."""

    dense: np.ndarray
    ids: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class Problem:
    """What a model is given.

    Attributes:
        train: The rows that the study's baseline of the same seed is trained on, in its order.
        validation: The validation split.
        test: The rows to predict.
    """

    schema: Schema
    train: Rows
    validation: Rows
    test: Rows
    seed: int


class Prediction(NamedTuple):
    """Logits float [rows] of the test rows, and how many numbers were learned."""

    logits: np.ndarray
    parameters: int


def read_rows(data: ClickData, split: SplitName, count: int | None = None, order_seed: int | None = None) -> Rows:
    """The first rows of a split, in the order of a seed; all of them by default."""
    tables = tuple(feature.cardinality for feature in data.manifest.schema.categorical)
    read = batches(data, split, 8192, tables, train=False, order_seed=order_seed)  # the last batch filled up, not lost
    kept = [{name: column[batch["weight"] > 0] for name, column in batch.items()} for batch in read.as_numpy_iterator()]
    return Rows(*(np.concatenate([batch[name] for batch in kept])[:count] for name in Rows._fields))


def deepctr(model: str, problem: Problem) -> Prediction:
    """A model of DeepCTR in one pass: Adam at 0.001 and a hidden MLP 256-128-64, as by default."""
    tf.keras.utils.set_random_seed(problem.seed)
    with mock.patch.object(threading.Thread, "start"):  # its import asks the network for newer versions
        columns: Any = importlib.import_module("deepctr.feature_column")
        models: Any = importlib.import_module("deepctr.models")
    schema = problem.schema
    features: list[Any] = [columns.DenseFeat(feature.name) for feature in schema.dense]
    for feature in schema.categorical:
        rows = feature.cardinality + 1  # 0 is where a list ends
        one = columns.SparseFeat(feature.name, rows, embedding_dim=DIMENSION)
        several = feature.max_values > 1
        features.append(columns.VarLenSparseFeat(one, feature.max_values, combiner="mean") if several else one)

    def inputs(rows: Rows) -> dict[str, np.ndarray]:
        dense = {feature.name: rows.dense[:, at] for at, feature in enumerate(schema.dense)}
        slots = zip(schema.categorical, schema.slots, strict=True)
        ids = {f.name: rows.ids[:, own.start : own.stop] - PADDING for f, own in slots}
        return dense | {name: column if column.shape[1] > 1 else column[:, 0] for name, column in ids.items()}

    network = getattr(models, model)(features, features, seed=problem.seed)
    network.compile("adam", "binary_crossentropy")
    network.fit(inputs(problem.train), problem.train.label, BATCH, epochs=1, shuffle=False, verbose=0)
    predicted = network.predict(inputs(problem.test), batch_size=8192, verbose=0)[:, 0].astype(np.float64)
    return Prediction(special.logit(np.clip(predicted, _LEAST, 1 - _LEAST)), network.count_params())


def lightgbm(problem: Problem) -> Prediction:
    """Gradient-boosted trees: categories as such, a column for each id of a list, stopped on the validation split."""
    library: Any = importlib.import_module("lightgbm")
    slots = list(zip(problem.schema.categorical, problem.schema.slots, strict=True))
    single = [own.start for feature, own in slots if feature.max_values == 1]

    def columns(rows: Rows) -> Any:
        table: Any = np.concatenate([rows.ids[:, single], rows.dense], axis=1, dtype=np.float32)
        lists = [
            _indicators(rows.ids[:, own.start : own.stop], feature.cardinality)
            for feature, own in slots
            if feature.max_values > 1
        ]
        return sparse.hstack([table, *lists], format="csr") if lists else table

    model = library.LGBMClassifier(n_estimators=TREES, random_state=problem.seed, n_jobs=1, verbose=-1)
    model.fit(
        columns(problem.train),
        problem.train.label,
        categorical_feature=list(range(len(single))),
        eval_set=[(columns(problem.validation), problem.validation.label)],
        callbacks=[library.early_stopping(20, verbose=False)],
    )
    leaves = sum(tree["num_leaves"] for tree in model.booster_.dump_model()["tree_info"])
    return Prediction(model.predict(columns(problem.test), raw_score=True), leaves)


def _indicators(ids: np.ndarray, cardinality: int) -> Any:
    """Ids int32 [rows, slots] as a sparse float32 [rows, cardinality], 1 where a row has the id."""
    there = ids != PADDING
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    table: Any = sparse.csr_matrix((np.ones(ends[-1], np.float32), ids[there], ends), (len(ids), cardinality))
    table.sum_duplicates()
    table.data[:] = 1
    return table


def hashed_logistic_regression(problem: Problem) -> Prediction:
    """scikit-learn's LogisticRegression, as by default, on hashed features."""
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.linear_model import LogisticRegression

    hasher = FeatureHasher(BUCKETS, input_type="string")
    slots = list(zip(problem.schema.categorical, problem.schema.slots, strict=True))
    names = [[[f"{feature.name}={value}"] for value in range(feature.cardinality)] for feature, _ in slots]
    hashed = [hasher.transform([*tokens, []]) for tokens in names]  # the last row, that of PADDING, is empty

    def columns(rows: Rows) -> Any:
        ids: Any = sum(table[rows.ids[:, slot]] for table, (_, own) in zip(hashed, slots, strict=True) for slot in own)
        blocks: Any = [ids, rows.dense]
        return sparse.hstack(blocks, format="csr")

    model = LogisticRegression(max_iter=PASSES, random_state=problem.seed)
    model.fit(columns(problem.train), problem.train.label)
    return Prediction(model.decision_function(columns(problem.test)), model.coef_.size + 1)


_DEEP = f"Adam at 0.001, batches of {BATCH}, dimension {DIMENSION}, MLP 256-128-64, L2 1e-5"
MODELS: dict[str, tuple[str, str, Callable[[Problem], Prediction]]] = {  # package, settings, and what trains it
    **{name: ("deepctr", _DEEP, partial(deepctr, name)) for name in ("DeepFM", "xDeepFM", "DCNMix", "AutoInt")},
    "gradient-boosted trees": (
        "lightgbm",
        f"31 leaves, rate 0.1, up to {TREES} trees, stopped on the validation split",
        lightgbm,
    ),
    "hashed logistic regression": (
        "scikit-learn",
        f"L2 with C 1, L-BFGS, up to {PASSES} passes, {BUCKETS:,} buckets",
        hashed_logistic_regression,
    ),
}


def measured(data: ClickData, log: str, examples: int, seeds: int, names: list[str]) -> Iterator[Library]:
    """Each model trained with each seed, but for those in the table."""
    there = {(row.log, row.model, row.seed) for row in read_libraries(TABLE.parent)}
    validation, test = read_rows(data, "validation"), read_rows(data, "test")
    for seed in range(seeds):
        train = read_rows(data, "train", examples, seed)
        for name in names:
            if (log, name, seed) in there:
                continue
            package, settings, train_and_predict = MODELS[name]
            started = time.perf_counter()
            logits, parameters = train_and_predict(Problem(data.manifest.schema, train, validation, test, seed))
            seconds = time.perf_counter() - started
            scores = Accumulator()
            scores.add(logits, test.label, np.ones_like(test.label))
            found = scores.result()
            print(f"{name}, seed {seed}: NE {found.ne:.4f}, AUC {found.auc:.4f}, {seconds:.0f} s", flush=True)
            yield Library(
                log=log,
                model=name,
                package=package,
                version=version(package),
                settings=settings,
                examples=len(train.label),
                seed=seed,
                test_ne=round(found.ne, 6),
                test_auc=round(found.auc, 6),
                parameters=parameters,
                seconds=round(seconds, 1),
                data_hash=data.manifest.data_hash,
                date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            )


def save(row: Library) -> None:
    """Put a training into the table."""
    table = pd.DataFrame([*map(asdict, read_libraries(TABLE.parent)), asdict(row)])
    order = {name: at for at, name in enumerate(MODELS)}
    table = table.assign(order=table["model"].map(order)).sort_values(["log", "order", "seed"]).drop(columns="order")
    write_text_atomically(TABLE, table.to_csv(index=False))


def main() -> None:
    """Train the models, and put what they reach into the table that REPRODUCTION.md shows."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", help="folder of prepared data")
    parser.add_argument("log", help="name of the study of the same data in studies.yaml")
    parser.add_argument("--examples", type=int, required=True, help="the rows of the study's largest data size")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    given = parser.parse_args()
    data = ClickData.open(given.data)
    for row in measured(data, given.log, given.examples, given.seeds, given.models):
        save(row)


if __name__ == "__main__":
    main()
