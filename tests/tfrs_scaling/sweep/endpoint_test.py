import ipaddress
import resource
from pathlib import Path

import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.sweep.endpoint import Endpoint


class EndpointTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = Path(self.get_temp_dir()) / self._testMethodName / "token"
        self.file.parent.mkdir()

    def test_token_is_made_once_and_only_its_user_can_read_it(self) -> None:
        endpoint = Endpoint(None, self.file)
        with self.assertRaisesRegex(InputError, "token: cannot be read: No such file .* only its user may"):
            endpoint.token(make=False)
        token = endpoint.token(make=True)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertGreaterEqual(len(token), 40)
        self.assertEqual([endpoint.token(make=True), endpoint.token(make=False)], [token] * 2)
        self.assertNotEqual(Endpoint(None, self.file.with_name("other")).token(make=True), token)
        self.assertEqual(len(list(self.file.parent.iterdir())), 2)

    def test_token_that_cannot_be_written_leaves_nothing_and_says_so(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # a file can be made, and not a byte written
        try:
            with self.assertRaisesRegex(InputError, "token: cannot be written: File too large; .* --token-file names"):
                Endpoint(None, self.file).token(make=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.assertEqual(list(self.file.parent.iterdir()), [])

    @parameterized.parameters("", "short", "two words of it here", "x" * 257, "\u00fcber-uber-uber-uber")
    def test_what_is_no_token_is_refused(self, text: str) -> None:
        self.file.write_text(text)
        with self.assertRaisesRegex(InputError, "token: should hold 16 to 256"):
            Endpoint(None, self.file).token(make=True)

    @parameterized.parameters("host", "host:", ":80", "host:99999", "host:http", "a b:80", "h\nx:80")
    def test_address_that_is_none(self, address: str) -> None:
        with self.assertRaisesRegex(InputError, "--address: should be HOST:PORT"):
            Endpoint(address, self.file)

    def test_where_it_listens_and_where_it_is_found(self) -> None:
        given = Endpoint("node7.lan:0", self.file)
        self.assertEqual((given.bound, given.published(8000)), ("node7.lan:0", "node7.lan:8000"))
        self.assertEqual(Endpoint("[::1]:0", self.file).published(80), "[::1]:80")
        for address, bound in ((None, "[::]:0"), ("0.0.0.0:0", "0.0.0.0:0")):
            endpoint = Endpoint(address, self.file)
            host, _, port = endpoint.published(8000).rpartition(":")
            self.assertEqual((endpoint.bound, port), (bound, "8000"))
            self.assertFalse(ipaddress.ip_address(host.strip("[]")).is_unspecified)


if __name__ == "__main__":
    tf.test.main()
