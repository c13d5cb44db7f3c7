"""The columns of the run table: their types, what each is for, and what is lost where another trainer has none."""

from dataclasses import dataclass

from tfrs_scaling.fit.schemes import SCHEMES


@dataclass(frozen=True)
class Column:
    """A column of the run table.

    Attributes:
        dtype: ``str``, ``int64`` or ``float64``.
        meaning: What it holds, with its unit.
        without: What a table without it loses, or what is assumed; empty for a column that no table can do without.
    """

    dtype: str
    meaning: str
    without: str


_PROVENANCE = "the report's methods do not say it"
_ADVICE = "no advice"
_SCHEME = "what is scaled: " + ", ".join(f"{row.letter} ({row.words})" for row in SCHEMES.values())

RUN_COLUMNS: dict[str, Column] = {
    "study": Column("str", "name of the study", "the file's name"),
    "trial_id": Column(
        "str",
        "which training a row belongs to",
        "rows that agree in architecture, scheme, multiplier, dimension, learning rate and seed are one training",
    ),
    "architecture": Column("str", "name of the model's architecture", "all rows are of one"),
    "scheme": Column("str", _SCHEME, ""),
    "multiplier": Column("float64", "by how much it is scaled: 1 for the baseline D, 4 for four times its size", ""),
    "seed": Column("int64", "seed of the initial weights and the order of the rows", "one seed; noise is guessed"),
    "learning_rate": Column("float64", "learning rate", "no selection of learning rates, and no flag lr_at_edge"),
    "examples": Column("int64", "different training rows seen so far", ""),
    "epochs": Column("int64", "passes over them", "1; for scheme E the multiplier"),
    "embedding_dim": Column("int64", "embedding dimension", "no best dimension"),
    "embedding_rows": Column("int64", "rows of all embedding tables together", _PROVENANCE),
    "params_embedding": Column(
        "int64", "parameters of the embedding tables", f"no laws of parameters of O and M, and {_ADVICE}"
    ),
    "params_bottom": Column("int64", "parameters of the bottom MLP", _PROVENANCE),
    "params_interaction": Column("int64", "parameters of the interaction", _PROVENANCE),
    "params_overarch": Column("int64", "parameters of the over-arch", _PROVENANCE),
    "params_total": Column("int64", "all parameters", f"no laws of parameters, zones or joint laws, and {_ADVICE}"),
    "flops_forward": Column("int64", "FLOPs of a forward pass per example", _PROVENANCE),
    "flops_train": Column(
        "int64", "FLOPs of forward and backward pass per example", f"no laws of compute, no joint law and {_ADVICE}"
    ),
    # It may exceed int64.
    "compute": Column("float64", "flops_train x examples x epochs", "flops_train gives it, and it gives flops_train"),
    # Of the model that scores the rows, T's teacher or P's scorer, once for all trials; 0 for other schemes.
    "scorer_examples": Column(
        "int64", "other rows that T's teacher or P's scorer was trained on", "they are not counted"
    ),
    "scorer_compute": Column(
        "float64", "FLOPs of its training, and of predicting the rows trained on or chosen from", "they cost nothing"
    ),
    "scorer_seconds": Column("float64", "seconds of its training, and of predicting all rows", "they take no time"),
    "test_ne": Column("float64", "normalized entropy on the test split; or give test_log_loss and base_ctr", ""),
    "test_log_loss": Column("float64", "log loss on the test split, nats per example", _PROVENANCE),
    "test_auc": Column("float64", "AUC on the test split", "no AUC beside NE"),
    "test_calibration": Column("float64", "mean prediction / mean label on the test split", "no calibration beside NE"),
    "validation_ne": Column("float64", "NE on the validation split", "rates are selected by test_ne, which flatters"),
    # Of the rows since the rung before, as they were trained on.
    "train_ne": Column("float64", "NE of the training rows, before learning from them", "no training against test"),
    # Rows count by their weight, as in every mean here.
    "base_ctr": Column("float64", "mean label of the test split", "no scheme N"),
    "examples_per_second": Column("float64", "training speed", f"{_ADVICE}, unless wall_seconds gives it"),
    "wall_seconds": Column("float64", "time of training so far", "from examples_per_second"),
    "strategy": Column("str", "device or distribution strategy", _PROVENANCE),
    "status": Column("str", "ok, failed or skipped", "ok; failed where test_ne is empty"),
    "reason": Column("str", "why a status is not ok", "not recorded"),
    "flags": Column("str", "collapsed, lr_at_edge, plateau, unstable; joined by ;", "found from the rest"),
    "config_hash": Column("str", "hash of the configuration", _PROVENANCE),
    "data_hash": Column("str", "hash of the data", _PROVENANCE),
    "code_version": Column("str", "version of the trainer", _PROVENANCE),
    "libraries": Column("str", "name and version of each library, joined by ;", _PROVENANCE),
    "machine": Column("str", "the machine that the trial ran on", _PROVENANCE),
}  # fmt: skip
COLUMNS: dict[str, str] = {name: column.dtype for name, column in RUN_COLUMNS.items()}
REQUIRED = tuple(name for name, column in RUN_COLUMNS.items() if not column.without)
# Without one of these, a section of the report is missing.
COLUMNS_OF_SECTIONS = tuple(
    name
    for name, column in RUN_COLUMNS.items()
    if column.dtype != "str" and column.without.startswith("no ") and name != "base_ctr"
)


def sentence_without(name: str) -> str:
    """What the report lacks without one of COLUMNS_OF_SECTIONS, as a sentence."""
    return f"The table has no column {name}, so the report has {RUN_COLUMNS[name].without}."
