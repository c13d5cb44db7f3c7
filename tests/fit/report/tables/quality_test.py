"""Tests of the table of NE, AUC and calibration."""

import tensorflow as tf

from tests.helpers.planted import planted_study
from tfrs_scaling.fit.report.tables.quality import quality_table


class QualityTableTest(tf.test.TestCase):
    """What is not recorded."""

    def test_a_dimension_that_is_not_recorded_is_unknown(self) -> None:
        runs = planted_study(schemes="V")
        known, unknown = (quality_table(runs.assign(embedding_dim=dimension)) for dimension in (16, 0))
        for table, shown in ((known, "16"), (unknown, "–")):
            column = next(column for column in table.columns if column.key == "embedding_dim")
            self.assertEqual({column.cell(record).text for record in table.records}, {shown})


if __name__ == "__main__":
    tf.test.main()
