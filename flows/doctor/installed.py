"""Python, packages, accelerators, memory."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from contracts.errors import listed
from flows import environment
from flows.disk import told
from flows.doctor.finding import Asked, Finding, fault, note, well
from flows.memory import free

INSTALL = "make .venv/ready, or: uv pip install -r requirements.lock"
LEAST_MEMORY = 1 << 30
SEES = "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 3)"
START_LIMIT_S = 180


def check(root: Path, asked: Asked) -> Iterator[Finding]:
    """All of it."""
    packages, lock = environment.packages(), root / "requirements.lock"
    yield declared(packages)
    yield as_locked(lock.read_text(encoding="utf-8") if lock.is_file() else None, packages)
    yield accelerator(environment.machine().accelerators, packages.get("torch", ""), None if asked.quick else _sees)
    yield from memory()


def declared(packages: Mapping[str, str], needs: Sequence[str] | None = None, python: str = "") -> Finding:
    """Python and each package within what medloop says that it works with, such as fastapi below what Prefect takes."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    here = python or platform.python_version()
    try:
        told_by = metadata("medloop")
    except PackageNotFoundError:
        return fault("python", f"Python {here}, where medloop is not installed", "medloop installed", INSTALL)
    wanted = [Requirement(text) for text in (told_by.get_all("Requires-Dist") if needs is None else needs) or []]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wanted.append(Requirement(f"python{told_by['Requires-Python']}"))
    versions = {**packages, "python": here}
    wrong = [
        f"{one.name} {versions.get(canonicalize_name(one.name), 'missing')} instead of {one.specifier or 'any'}"
        for one in wanted
        if not one.specifier.contains(versions.get(canonicalize_name(one.name), "0"), prereleases=True)
    ]
    if wrong:
        return fault("python", listed(wrong, 5), "what medloop works with (pyproject.toml)", INSTALL)
    return well("python", f"Python {here} ({sys.executable}), {len(wanted)} requirements met")


def as_locked(lock: str | None, packages: Mapping[str, str]) -> Finding:
    """Each package as requirements.lock pins it, which a result may depend on."""
    if lock is None:
        return note("packages", "there is no requirements.lock: which versions made a model cannot be had again")
    pinned = environment.locked(lock)
    wrong = environment.other_versions(pinned, packages)
    if wrong:
        return fault("packages", listed(wrong, 5), f"the {len(pinned)} versions of requirements.lock", INSTALL)
    return well("packages", f"{len(pinned)} as requirements.lock has them")


def _sees() -> bool:
    done = subprocess.run([sys.executable, "-c", SEES], capture_output=True, timeout=START_LIMIT_S, check=False)
    return done.returncode == 0


def accelerator(devices: Sequence[str], torch: str, sees: object) -> Finding:
    """Whether torch can use the devices that there are. `sees`: asks torch itself, which takes importing it."""
    if not devices:
        return well("accelerator", f"none; torch {torch} trains on the processor")
    if torch.endswith("+cpu") or (callable(sees) and not sees()):
        return fault(
            "accelerator",
            f"{listed(devices, 2)}, which torch {torch} does not see",
            "a build of torch for this accelerator, and its driver",
            f"nvidia-smi tells of the driver; install torch {torch.partition('+')[0]} by https://pytorch.org/get-started",
        )
    return well("accelerator", f"{listed(devices, 2)}, torch {torch}")


def memory(available: int | None = None, cores: int | None = None) -> Iterator[Finding]:
    """Memory that is free, and threads that libraries are told to take."""
    left, count = available or free(), cores or os.cpu_count() or 1
    set_to = {key: os.environ.get(key, "") for key in environment.THREADS}
    over = {key: value for key, value in set_to.items() if value.isdigit() and int(value) > count}
    if left < LEAST_MEMORY:
        mend = "end what else runs (top tells), or give the machine more; ingest.block makes table steps smaller"
        yield fault("memory", f"{told(left)} free", f"{told(LEAST_MEMORY)} or more", mend)
    elif over:
        told_of = ", ".join(f"{key}={value}" for key, value in over.items())
        yield note("memory", f"{told_of} on {count} cores: slower than a thread a core", f"unset {next(iter(over))}")
    else:
        yield well("memory", f"{told(left)} free, {count} cores")
