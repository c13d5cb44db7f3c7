import os
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from unittest import mock

import tensorflow as tf

from tests.helpers.studies import REPOSITORY
from tfrs_scaling.common.environment import OPEN_FILES, settle, tpu_trial_environment, variables


class EnvironmentTest(tf.test.TestCase):
    def python(self, code: str, environment: dict[str, str] | None = None, *prefix: str) -> list[str]:
        """What a process prints that loads TensorFlow as the command does, among a neighbour's variables."""
        done = subprocess.run(
            [*prefix, sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, **(environment or {})}, cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_neighbours_settings_of_keras_do_not_reach_a_trial(self) -> None:
        home = Path(self.get_temp_dir()) / "home"
        (home / ".keras").mkdir(parents=True)
        (home / ".keras" / "keras.json").write_text('{"floatx": "float16", "epsilon": 0.1, "backend": "jax"}')
        code = """
            from tfrs_scaling.training.tensorflow_startup import load_tensorflow
            load_tensorflow()
            import tensorflow as tf, keras
            print(tf.keras.backend.floatx(), tf.keras.backend.epsilon(), tf.executing_eagerly(), keras.config.backend())
            print(tf.keras.layers.Layer.__module__.partition(".")[0])
        """
        for environment in (
            {"HOME": str(home), "KERAS_BACKEND": "jax"},
            {"KERAS_HOME": str(home / ".keras"), "TF2_BEHAVIOR": "0", "TF_USE_LEGACY_KERAS": "0"},
            {"KERAS_HOME": "", "KERAS_BACKEND": "", "TF2_BEHAVIOR": "", "TF_ENABLE_ONEDNN_OPTS": ""},
        ):
            self.assertEqual(self.python(code, environment), ["float32 1e-07 True tensorflow", "tf_keras"])

    def test_empty_variables_are_as_good_as_none_and_others_stay(self) -> None:
        given = {"KERASTUNER_ORACLE_IP": "", "TF_CONFIG": " ", "TPU_NAME": "", "CUDA_VISIBLE_DEVICES": "", "TF_X": "1"}
        with mock.patch.dict(os.environ, given, clear=True):
            settle()
            left = {name for name in given if name in os.environ}
        self.assertEqual(left, {"CUDA_VISIBLE_DEVICES", "TF_X"})  # an empty one of CUDA's hides all GPUs

    def test_open_files_are_raised_to_what_the_system_allows(self) -> None:
        code = """
            import resource
            from tfrs_scaling.common.environment import settle
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
            settle()
            print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        """
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if not 1000 <= hard < 2**40:
            self.skipTest(f"this system's limit is {hard}")
        self.assertEqual(self.python(code.format(hard=hard)), [str(min(hard, OPEN_FILES))])
        self.assertIn(self.python(code.format(hard=1000)), (["1000"], [str(OPEN_FILES)]))  # the latter if privileged

    def test_user_without_a_home_can_import_bokeh(self) -> None:
        if os.geteuid() != 0 or shutil.which("setpriv") is None:
            self.skipTest("only root can become a user that does not exist, by util-linux's setpriv")
        reading = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")  # else nothing of root's is found
        code = """
            import os
            del os.environ["HOME"]
            from tfrs_scaling.common.environment import settle
            settle()
            print(os.environ["HOME"])
            import bokeh.plotting
        """
        (home,) = self.python(code, None, "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", *reading)
        self.assertTrue(Path(home).is_dir())

    def test_tpu_is_for_trials_only(self) -> None:
        given = {"TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "/lib/given.so", "PJRT_DEVICE": "TPU"}
        with mock.patch.dict(os.environ, given):
            settle()
            self.assertEqual(os.environ["TPU_LOAD_LIBRARY"], "0")
            self.assertNoCommonElements(given, os.environ)
            with variables(tpu_trial_environment()):
                self.assertNotIn("TPU_LOAD_LIBRARY", os.environ)
                self.assertEqual({name: os.environ[name] for name in given}, given)
                self.assertEqual(os.environ["NEXT_PLUGGABLE_DEVICE_USE_C_API"], "true")
            self.assertEqual(os.environ["TPU_LOAD_LIBRARY"], "0")
            self.assertNoCommonElements(given, os.environ)


if __name__ == "__main__":
    tf.test.main()
