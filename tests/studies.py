"""Small studies for the tests."""

from pathlib import Path
from typing import Any

from tfrs_scaling.config import Config
from tfrs_scaling.input.prepare import prepare
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.input.sources import SyntheticSource
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
    prepare(SyntheticSource(config.synthetic), folder, seed=config.synthetic.seed)
    return ClickData.open(folder)
