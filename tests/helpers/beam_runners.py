"""Beam runners that do their work badly, as real ones have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from apache_beam.runners.direct.direct_runner import DirectRunner


class Tampering(DirectRunner):
    """Runs a pipeline, and then changes the outcome that it has left in a folder."""

    folder: ClassVar[Path]
    change: ClassVar[Callable[[dict[str, Any], Path], None]]

    def run_pipeline(self, pipeline: Any, options: Any) -> Any:
        """Run, wait and change."""
        result = super().run_pipeline(pipeline, options)
        result.wait_until_finish()
        (path,) = self.folder.glob(".*.partial/outcome.json")
        outcome = json.loads(path.read_text())
        type(self).change(outcome, path)
        if path.exists():
            path.write_text(json.dumps(outcome))
        return result
