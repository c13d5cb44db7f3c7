"""Small studies for the tests."""

from pathlib import Path
from typing import Any

import numpy as np

from tfrs_scaling.config import Config
from tfrs_scaling.input.prepare import prepare
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import FORMAT_VERSION, MANIFEST, ClickData, Manifest, SplitName, write_split
from tfrs_scaling.input.synthetic import generate
from tfrs_scaling.input.validated import validated

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGS = REPOSITORY / "tuner_configs"


def tiny_content(**sweep: Any) -> dict[str, Any]:
    """A study of seconds, as its YAML file would hold it."""
    return {
        "study": "tiny",
        "model": {"embedding_dim": 4, "bottom": [8], "interaction": 8, "overarch": [16, 8]},
        "training": {"batch_size": 64, "learning_rates": [0.04], "evaluation_batch_size": 512},
        "sweep": {"examples": [256, 512, 1024], **sweep},
        "synthetic": {
            "rows": 2000,
            "dense": 2,
            "features": [
                {"name": "user", "ids": 100, "rows": 50, "zipf": 0.8},
                {"name": "item", "ids": 20, "rows": 20},
            ],
        },
    }


def tiny_config(**sweep: Any) -> Config:
    """The same, validated."""
    return validated(Config, tiny_content(**sweep), "tiny")


def tiny_data(config: Config, folder: Path) -> ClickData:
    """The clicks that the study makes."""
    assert config.synthetic is not None
    prepare(generate(config.synthetic), config.synthetic.schema(), folder, seed=config.synthetic.seed)
    return ClickData.open(folder)


def stored(folder: Path, schema: Schema, splits: dict[SplitName, dict[str, np.ndarray]], **manifest: Any) -> ClickData:
    """Columns, per split and as ``column_specs`` says, in shards as they are; ``manifest`` adds to what it says."""
    folder.mkdir(parents=True)
    described: dict[str, Any] = {
        "format_version": FORMAT_VERSION, "tool_version": "test", "schema": schema, "split_by": "random", "seed": 0,
        "dense_mean": (0.0,) * len(schema.dense), "dense_deviation": (1.0,) * len(schema.dense),
        "vocabulary_sizes": {}, "rejected": 0, "sources": (),
        "splits": {name: write_split(folder, name, columns, schema) for name, columns in splits.items()},
    }  # fmt: skip
    (folder / MANIFEST).write_text(Manifest(**(described | manifest)).to_json())
    return ClickData.open(folder)
