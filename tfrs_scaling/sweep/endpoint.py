"""Where a chief is reached by other processes, and the token that lets them in."""

import contextlib
import dataclasses
import ipaddress
import os
import re
import secrets
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

from tfrs_scaling.common.errors import InputError

TOKEN = "token"  # noqa: S105
_TOKEN = re.compile(r"[\x21-\x7e]{16,256}")  # what fits a header of HTTP


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where a chief lets other processes in.

    Attributes:
        address: HOST:PORT of this machine, if it becomes the chief; None: its address in the network, and any port.
        token_file: whoever can read it is let in.
    """

    address: str | None
    token_file: Path

    def __post_init__(self) -> None:
        if self.address is not None and (
            not re.fullmatch(r"[\x21-\x7e]{1,250}:[0-9]{1,5}", self.address) or int(_port(self.address)) >= 2**16
        ):
            raise InputError(f"--address: should be HOST:PORT of this machine, is {self.address!r}")

    @property
    def bound(self) -> str:
        """Where the chief listens."""
        return self.address or "[::]:0"

    def published(self, port: int) -> str:
        """Where others find it, if it listens at this port."""
        host = self.bound.rpartition(":")[0]
        return f"{_host_in_the_network() if host in ('[::]', '0.0.0.0') else host}:{port}"  # noqa: S104

    def token(self, *, make: bool) -> str:
        """The token of the study; ``make``: one is made if there is none, which only this user can read.

        Raises:
            InputError: it cannot be read or written, or is not one.
        """
        try:
            if make and not self.token_file.exists():
                self._make()
        except OSError as error:
            raise InputError(
                f"{self.token_file}: cannot be written: {error.strerror}; this file lets processes join a study; "
                "--token-file names another"
            ) from None
        try:
            text = self.token_file.read_text(encoding="ascii").strip()
        except OSError as error:
            raise InputError(
                f"{self.token_file}: cannot be read: {error.strerror}; this file lets processes join a study, and only "
                "its user may read it; --token-file names another"
            ) from None
        except UnicodeDecodeError:
            text = ""
        if not _TOKEN.fullmatch(text):
            raise InputError(f"{self.token_file}: should hold 16 to 256 letters, digits or signs, without spaces")
        return text

    def _make(self) -> None:
        partial = self.token_file.with_name(f".{self.token_file.name}.{uuid.uuid4().hex}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
            try:
                self.token_file.hardlink_to(partial)  # which, unlike a rename, replaces nothing that another has made
            except FileExistsError:
                pass
            except OSError:  # the file system has no links
                partial.rename(self.token_file)
        finally:  # also where the disk is full
            partial.unlink(missing_ok=True)


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _host_in_the_network() -> str:
    """This machine's address towards others: that of its default route, else of any network, else its own."""
    for address in _addresses():
        with contextlib.suppress(ValueError):
            ip = ipaddress.ip_address(address.partition("%")[0])
            if not (ip.is_loopback or ip.is_link_local or ip.is_unspecified):
                return f"[{ip}]" if ip.version == 6 else str(ip)
    return "127.0.0.1"


def _addresses() -> Iterator[str]:
    # Connecting a datagram socket sends nothing, and finds the route; the addresses are documentation's.
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            yield str(probe.getsockname()[0])
    for family in (socket.AF_INET, socket.AF_INET6):
        for addresses in psutil.net_if_addrs().values():
            yield from (found.address for found in addresses if found.family == family)
