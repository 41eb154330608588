"""What a result may depend on beside code, settings and data: Python, packages, threads, hardware."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from pydantic import BaseModel, ValidationError

from flows.reproduction import Kind

LOCK = "requirements.lock"
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


class Surroundings(BaseModel):
    """Machine and packages of a run, as the commit that pins it tells them.

    packages: those that the lock of then names, all where there was none; none where only the machine is known.
    """

    machine: Machine
    packages: dict[str, str] = {}


def surroundings(root: Path) -> Surroundings:
    """What this process runs on and with."""
    here, lock = packages(), root / LOCK
    named = locked(lock.read_text(encoding="utf-8")) if lock.is_file() else here
    return Surroundings(machine=machine(), packages={name: here[name] for name in sorted(named) if name in here})


def told_by(message: str) -> Surroundings | None:
    """What a commit's message says of them, which only a run's does."""
    try:
        return Surroundings.model_validate_json(message.strip().splitlines()[-1])
    except (ValidationError, IndexError):
        return None


def packages() -> dict[str, str]:
    """The installed version of every package, by its normalised name."""
    return _by_name((found.name, found.version) for found in distributions())


def packages_of(python: str) -> dict[str, str]:
    """The same of another environment, by its Python."""
    ask = "import json; from importlib.metadata import distributions as d; "
    ask += "print(json.dumps([[x.name, x.version] for x in d()]))"
    return _by_name(json.loads(subprocess.run([python, "-c", ask], capture_output=True, check=True).stdout))


def _by_name(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    from packaging.utils import canonicalize_name

    return {canonicalize_name(name): version for name, version in found if name}


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
