"""Where a process stands among those that train one network together."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.errors import MedloopError

# What names the rank, the number of ranks and the number on the machine: torchrun's and medloop's words, then Slurm's.
LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}
STORE = "MEDLOOP_RANKS"  # a file by which ranks of one machine find each other, where medloop itself started them


@dataclass(frozen=True, kw_only=True)
class Place:
    """rank: the process's number, from 0; size: how many there are; local: its number on its machine."""

    rank: int = 0
    size: int = 1
    local: int = 0


ALONE = Place()


class PartnerLostError(MedloopError):
    """Another of the processes is gone; the cause is that one's."""


def place(environment: Mapping[str, str]) -> Place:
    """The place that torchrun, Slurm's srun or medloop gave this process; alone where none did.

    Raises MedloopError where only a part of it is told, and where srun's ranks could not find each other.
    """
    for launcher, names in LAUNCHERS.items():
        told = [environment[name] for name in names if name in environment]
        if names[1] in environment and environment[names[1]] != "1":
            if len(told) < len(names) or not all(word.isdecimal() for word in told):
                raise MedloopError(
                    f"a process of {launcher} is told {', '.join(names)}; got {', '.join(told)}",
                    mend="start it by torchrun, srun or medloop run",
                )
            if not (STORE in environment or {"MASTER_ADDR", "MASTER_PORT"} <= environment.keys()):
                raise MedloopError(
                    "several processes are to train together, and nothing says where they meet",
                    mend="export MASTER_ADDR (the first machine's name) and MASTER_PORT (a free port of it)",
                )
            rank, size, local = map(int, told)
            return Place(rank=rank, size=size, local=local)
    return ALONE
