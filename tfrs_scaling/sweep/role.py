"""Which part of a study this process plays, by KerasTuner's environment variables."""

import dataclasses
import os

from tfrs_scaling.common.errors import InputError

CHIEF = "chief"


@dataclasses.dataclass(frozen=True)
class Member:
    """What this process is among those that run a study together.

    Attributes:
        name: as KERASTUNER_TUNER_ID says it.
        address: HOST:PORT of the chief.
    """

    name: str
    address: str

    @property
    def is_chief(self) -> bool:
        """Whether it hands out trials; the others run them."""
        return CHIEF in self.name  # as KerasTuner tells


def this_member() -> Member | None:
    """The member that KerasTuner's environment variables make of this process; None where it works alone.

    Raises:
        InputError: one of the variables is missing, or the port is none.
    """
    ip, port, name = (os.environ.get(f"KERASTUNER_{what}", "") for what in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID"))
    if not ip:
        return None
    if not port.isdigit() or not 0 < int(port) < 2**16:
        raise InputError(
            f"KERASTUNER_ORACLE_PORT: should be the chief's port, is {port!r} (KERASTUNER_ORACLE_IP is set)"
        )
    if not name:
        raise InputError("KERASTUNER_TUNER_ID: is not set; chief on one machine, worker0, worker1, … on the others")
    return Member(name, f"{ip}:{port}")
