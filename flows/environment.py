"""What a result may depend on beside code, settings and data: Python, packages, threads, hardware."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from pydantic import BaseModel

from flows.reproduction import Kind

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Machine(BaseModel):
    """The hardware and the threads that libraries take unless a setting says otherwise."""

    python: str
    system: str
    processor: str
    cores: int
    threads: dict[str, str]
    accelerators: list[str]


def machine() -> Machine:
    """This machine, told without importing torch."""
    return Machine(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 1,
        threads={name: os.environ[name] for name in THREADS if name in os.environ},
        accelerators=_accelerators(),
    )


def packages() -> dict[str, str]:
    """The installed version of every package, by its normalised name."""
    from packaging.utils import canonicalize_name

    return {canonicalize_name(found.name): found.version for found in distributions() if found.name}


def locked(text: str) -> dict[str, str]:
    """The version of every package that a requirements.lock pins for this Python and system."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    pinned: dict[str, str] = {}
    for line in text.splitlines():
        try:
            asked = Requirement(line.partition("#")[0].strip().rstrip("\\"))
        except InvalidRequirement:
            continue  # a comment, a hash or an option
        exact = [one.version for one in asked.specifier if one.operator == "=="]
        if exact and (asked.marker is None or asked.marker.evaluate()):
            pinned[canonicalize_name(asked.name)] = exact[0]
    return pinned


def other_versions(pinned: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """`numpy 2.3.0 instead of 2.4.6` for each package that is not as pinned; a build's suffix (+cpu) is no other."""
    found = []
    for name, wanted in sorted(pinned.items()):
        here = installed.get(name)
        if here is None or here.partition("+")[0] != wanted.partition("+")[0]:
            found.append(f"{name} {here or 'missing'} instead of {wanted}")
    return found


def other_machine(then: Machine, now: Machine) -> dict[Kind, list[str]]:
    """What differs between two machines, by kind."""
    kinds: dict[str, Kind] = {"python": "library", "threads": "threads", "cores": "threads"}
    found: dict[Kind, list[str]] = {}
    for name in Machine.model_fields:
        before, after = getattr(then, name), getattr(now, name)
        if before != after:
            found.setdefault(kinds.get(name, "hardware"), []).append(f"{name} {after} instead of {before}")
    return found


def _processor() -> str:
    """Its name; Linux alone tells that in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _accelerators() -> list[str]:
    """NVIDIA's driver lists its devices as files."""
    found = []
    for told in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = told.read_text(encoding="utf-8").splitlines()
        found.append(next((line.partition(":")[2].strip() for line in lines if line.startswith("Model")), "unknown"))
    return found
