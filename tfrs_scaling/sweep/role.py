"""The role of this process among those that run a study together, by KerasTuner's and TensorFlow's variables."""

import dataclasses
import os
import re

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.hardware import StrategyName, this_worker

CHIEF = "chief"


@dataclasses.dataclass(frozen=True)
class Role:
    """One of several processes that share the trials of a study.

    Attributes:
        name: KERASTUNER_TUNER_ID.
        address: HOST:PORT of the chief.
    """

    name: str
    address: str

    @property
    def is_chief(self) -> bool:
        """Whether it hands out trials; the others run them."""
        return CHIEF in self.name  # KerasTuner's rule


def this_role() -> Role | None:
    """The role that KerasTuner's environment variables give this process; None if it works alone.

    Raises:
        InputError: one of the variables is missing, or the port is invalid.
    """
    ip, port, name = (os.environ.get(f"KERASTUNER_{what}", "") for what in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID"))
    if not ip:
        return None
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 2**16:
        raise InputError(
            f"KERASTUNER_ORACLE_PORT: should be the chief's port, is {port!r}; to work on this machine alone, unset "
            "KERASTUNER_ORACLE_IP"
        )
    if not name:
        raise InputError("KERASTUNER_TUNER_ID: is not set; chief on one machine, worker0, worker1, … on the others")
    return Role(name, f"{ip}:{port}")


def is_leader(strategy: StrategyName) -> bool:
    """Whether this process leads the study, alone or as chief, and writes what concerns the study as a whole.

    Raises:
        InputError: for the reasons of ``this_role``, or because both kinds of variables are set.
    """
    role = this_role()
    if role is not None and strategy == "multi_worker":
        raise InputError(
            "TF_CONFIG and KERASTUNER_ORACLE_IP are both set: set the first to train each trial on all machines, the "
            "second to train a trial on each machine"
        )
    return role.is_chief if role is not None else strategy != "multi_worker" or this_worker().index == 0
