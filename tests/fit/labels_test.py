import tensorflow as tf

from tfrs_scaling.fit.labels import axis_name, line_name, multiplier_label, shape_name


class LabelsTest(tf.test.TestCase):
    def test_multipliers_as_people_write_them(self) -> None:
        labels = [multiplier_label(m) for m in (1 / 64, 0.25, 1.0, 8.0, 0.3, 1.5, 1 / 3)]
        self.assertEqual(labels, ["1/64", "1/4", "1", "8", "0.3", "1.5", "1/3"])
        self.assertEqual([shape_name(scheme, 0.25) for scheme in "VNT"], ["V 1/4×", "N 1/4", "T 1/4"])

    def test_lines_are_multipliers_data_sizes_or_the_frontier(self) -> None:
        self.assertEqual(line_name("1/4"), "1/4×")
        self.assertEqual(line_name("65500", "parameters"), "65.5k examples")
        self.assertEqual(line_name("frontier", "parameters"), "frontier")

    def test_parameters_of_over_arch_and_mlps_leave_out_the_tables(self) -> None:
        names = {scheme: axis_name("parameters", scheme) for scheme in "VHOM"}
        self.assertEqual(names["V"], "parameters")
        self.assertEqual(names["H"], "parameters")
        self.assertEqual({names["O"], names["M"]}, {"parameters outside the embedding tables"})
        self.assertEqual(axis_name("data", "O"), "training examples")


if __name__ == "__main__":
    tf.test.main()
