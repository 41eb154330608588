"""How much memory there is for a stage: what is set, or what is free, in a container within its limit."""

import os
from pathlib import Path

from contracts.errors import MedloopError

SET = "MEDLOOP_MEMORY"  # the environment variable that sets it, in MiB
# Where Linux tells a container's limit, by the version of its control groups; "max" stands for none.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def available() -> int:
    """Bytes that a stage may reckon with. Raises MedloopError when MEDLOOP_MEMORY is no number of MiB."""
    told = os.environ.get(SET)
    if not told:
        return free()
    if not told.isdecimal() or not int(told):
        mend = "give a whole number, such as 1024, or unset it: a stage then goes by what is free"
        raise MedloopError("the memory for a stage is no number of MiB", where=f"{SET}={told}", mend=mend)
    return int(told) << 20


def free() -> int:
    """Bytes that are free here."""
    import psutil

    limits = [path.read_text().strip() for path in LIMITS if path.is_file()]
    return min([int(psutil.virtual_memory().available), *(int(limit) for limit in limits if limit.isdecimal())])
