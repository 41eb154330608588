"""`make campaign`: the real command killed again and again; what the run after it leaves is held against a clean one's.

    python -m tests.campaign --kills 100 --seed 0 --places        # --places: each named place first

A chain begins with a fresh workspace and an empty MLflow. Its runs are killed one after another, each going on from
what the one before left, until one is let finish; that must end well and leave what the clean run left.
"""

import argparse
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.campaign import state
from tests.campaign.places import CHAINS, Place
from tests.workspace import MEDLOOP, REPOSITORY, make_workspace

TRAP = Path(__file__).parent / "trap"
RUN_LIMIT_S, GONE_LIMIT_S = 420, 15
HOWS = ("tree", "tree", "main", "main", "everything", "term", "int")
SIGNALS = {"term": signal.SIGTERM, "int": signal.SIGINT}


def study(settings: dict) -> None:
    """One model that is found at once, and one that learns for many epochs."""
    settings["models"] = {"logistic": {}, "mlp": {"train": {"epochs": 60, "patience": 60}}}


class Forked:
    """A process of which the command is forked, and its child of now, as `subprocess.Popen` has one."""

    def __init__(self, root: Path, environment: dict[str, str], output: Path) -> None:
        pipe = subprocess.PIPE
        self._mother = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.forked", str(output)],
            cwd=root,
            env=environment,
            stdin=pipe,
            stdout=pipe,
            text=True,
            start_new_session=True,
        )
        assert self._said() == "ready"

    def _said(self) -> str:
        assert self._mother.stdout
        return self._mother.stdout.readline().strip()

    def start(self, *arguments: str) -> "Forked":
        assert self._mother.stdin
        self._mother.stdin.write(" ".join(arguments) + "\n")
        self._mother.stdin.flush()
        self.pid, self.returncode = int(self._said()), None
        return self

    def wait(self, seconds: float) -> int:
        if self.returncode is None:
            if not select.select([self._mother.stdout], [], [], seconds)[0]:
                raise subprocess.TimeoutExpired("medloop", seconds)
            self.returncode = int(self._said())
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    @property
    def mother(self) -> int:
        return self._mother.pid


@dataclass
class Campaign:
    """A fresh workspace, its home, what a clean run leaves, and the count of what was done."""

    folder: Path
    random: random.Random
    kills: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    chains: int = 0
    ran: int = 0  # runs that the workspace has seen
    clean_s: float = 0.0
    command: tuple[str, ...] = ("run", "tiny")
    forked: Forked | None = None

    def __post_init__(self) -> None:
        self.root, self.home, self.scratch = (self.folder / name for name in ("workspace", "home", "scratch"))
        self.mark = str(self.folder)

    def environment(self, trap: dict | None = None) -> dict[str, str]:
        """Of a run: a home and a folder for temporary files of its own; with a trap on the path."""
        own = {"MEDLOOP_HOME": str(self.home), "TMPDIR": str(self.scratch), state.MARK: self.mark, "COLUMNS": "200"}
        if trap:
            own |= {"MEDLOOP_TRAP": json.dumps(trap), "MEDLOOP_SPRUNG": str(self.folder / "sprung")}
        path = [str(TRAP)] * bool(trap) + [str(REPOSITORY)]
        return {**os.environ, **own, "PYTHONPATH": os.pathsep.join(path)}

    def begin(self) -> None:
        """The workspace and its home, and what one run that nobody disturbs leaves of them."""
        workspace = make_workspace(self.root)
        workspace.write_study(study)
        for arguments in (["add", "-A"], ["commit", "-qm", "the campaign's study"]):
            who = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
            subprocess.run(["git", *who, *arguments], cwd=self.root, check=True)
        self.scratch.mkdir()
        self.home.mkdir()
        own = {"pid": 1, "port": free_port(), "started": 0.0}  # a forked command knows the first address only
        (self.home / "servers.json").write_text(json.dumps({"prefect": own}))
        self.keep()
        self.finish("a first run, which starts the servers")
        self.clean = state.snapshot(self.root, self.home, self.scratch)
        print(f"the clean run left {len(self.clean['files'])} files", flush=True)
        self.fresh()

    def time(self) -> None:
        """How long a run takes that nobody disturbs."""
        start = time.monotonic()
        self.finish("the clean run")
        self.clean_s = time.monotonic() - start
        print(f"clean run: {self.clean_s:.0f} s", flush=True)

    def keep(self) -> None:
        """The workspace and its home as they are now are what every chain begins with."""
        shutil.rmtree(self.folder / "fresh", ignore_errors=True)
        fresh = self.folder / "fresh"
        shutil.copytree(self.root, fresh / self.root.name, symlinks=True)
        shutil.copytree(
            self.home, fresh / self.home.name, ignore=lambda at, _: KEPT if at == str(self.home) else (), symlinks=True
        )

    def fresh(self) -> None:
        """As it was kept; the servers go on."""
        for gone in (self.root, self.scratch, *(p for p in self.home.iterdir() if p.name not in KEPT)):
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        for place in (self.root, self.home):
            shutil.copytree(self.folder / "fresh" / place.name, place, symlinks=True, dirs_exist_ok=True)
        self.scratch.mkdir()
        self.ran = len(list((self.home / "runs").glob("*.json")))

    def start(self, trap: dict | None = None) -> "subprocess.Popen[bytes] | Forked":
        self.ran += 1
        (self.folder / "sprung").unlink(missing_ok=True)
        if self.forked:
            return self.forked.start(*self.command)
        with (self.folder / "output.txt").open("wb") as output:
            return subprocess.Popen(
                [str(MEDLOOP), *self.command],
                cwd=self.root,
                env=self.environment(trap),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def aside(self) -> set[int]:
        """The processes that are to go on: this one, the servers, and the one that forks."""
        return state.servers(self.home) | {os.getpid()} | ({self.forked.mother} if self.forked else set())

    def told(self) -> str:
        return (self.folder / "output.txt").read_text(errors="replace")

    def finish(self, what: str) -> None:
        """A run that nobody disturbs; what is wrong with it is a fault."""
        child = self.start()
        code = self.ended(child)
        if code or "Traceback" in self.told():
            self.faults.append(f"after {what}: exit code {code}: {self.told()[-1500:]}")

    def ended(self, child: "subprocess.Popen[bytes] | Forked") -> int:
        """The exit code of a command that comes to its end by itself."""
        return child.wait(RUN_LIMIT_S)

    def kill(self, child: "subprocess.Popen[bytes] | Forked", how: str) -> None:
        """The process tree, the main process alone, the tree and the servers, or a signal that asks."""
        if how in SIGNALS:
            child.send_signal(SIGNALS[how])
        else:
            servers = state.servers(self.home)
            family = state.family(child.pid, but=servers) if how != "main" else []
            child.kill()
            for process in family:
                with suppress(psutil.Error):
                    process.kill()
            for pid in servers if how == "everything" else ():
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def gone(self, child: "subprocess.Popen[bytes] | Forked", how: str) -> None:
        """Whether all that a run started ends within seconds, too."""
        try:
            child.wait(RUN_LIMIT_S if how in ("self", *ERRORS) else 60)
        except subprocess.TimeoutExpired:
            self.faults.append(f"{how}: the run goes on after 60 s")
            self.kill(child, "tree")
            child.wait(60)
        if how == "main" and self.random.random() < 0.5:
            return  # the next run meets what is still ending
        deadline = time.monotonic() + GONE_LIMIT_S
        while left := state.processes(self.mark, self.aside()):
            if time.monotonic() > deadline:
                self.faults.append(f"{how}: orphans {[p.cmdline()[:4] for p in left]}")
                for process in left:
                    process.kill()
                return
            time.sleep(0.1)

    def at_random(self) -> bool:
        """One run killed at some moment, rather an early one; False where it ended before."""
        how, moment = self.random.choice(HOWS), 0.2 + self.clean_s * self.random.random() ** 2
        child = self.start()
        try:
            child.wait(moment)
        except subprocess.TimeoutExpired:
            where = self.where()
            self.kill(child, how)
            self.gone(child, how)
            self.count(how, where, f"{moment:.1f} s")
            return True
        if child.returncode:
            self.faults.append(f"a run that was left alone ended with {child.returncode}: {self.told()[-1500:]}")
        return False

    def at(self, place: Place, how: str) -> bool:
        """One run caught in a named place; False where it never came there."""
        child = self.start({"fits": place.fits, "nth": place.nth, "after_s": place.after_s, "do": how})
        self.gone_after_trap(child, how)
        if not (self.folder / "sprung").is_file():
            print(f"    not reached: {place.name}", flush=True)
            if child.returncode:
                print(self.told()[-1500:], flush=True)
                self.faults.append(f"{place.name}: ended with {child.returncode}: {self.told()[-1500:]}")
            return False
        if how in ERRORS and "Traceback" in self.told():
            self.faults.append(f"{place.name}, {how}: a traceback: {self.told()[-1500:]}")
        self.count(how, place.name, f"code {child.returncode}")
        return True

    def gone_after_trap(self, child: "subprocess.Popen[bytes] | Forked", how: str) -> None:
        try:
            child.wait(RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.faults.append(f"{how}: hangs")
        self.gone(child, how)

    def where(self) -> str:
        """The last stage that the run under way has ended."""
        lines = [line.split()[1].split("@")[0] for line in self.told().splitlines() if line.startswith(("✓ ", "↺ "))]
        return f"after {lines[-1]}" if lines else "before its first stage ended"

    def count(self, how: str, where: str, more: str) -> None:
        self.kills[how, where] += 1
        print(f"{sum(self.kills.values()):4d} {time.strftime('%H:%M:%S')} {how:<10} {where} ({more})", flush=True)

    def judge(self, what: str) -> None:
        """The end of a chain: a run that nobody disturbs, and what it leaves."""
        before = len(self.faults)
        start = time.monotonic()
        self.finish(what)
        self.chains += 1
        self.faults += [f"{what}: {f}" for f in state.faults(self.root, self.home, self.scratch, self.clean, self.ran)]
        orphans = state.processes(self.mark, self.aside())
        if orphans:
            self.faults.append(f"{what}: {[p.cmdline()[:4] for p in orphans]} still run")
        mended = (
            "as the clean run" if len(self.faults) == before else "\n      ".join(["FAULTS", *self.faults[before:]])
        )
        print(f"   = chain {self.chains}, {self.ran} runs, {time.monotonic() - start:.0f} s: {mended}", flush=True)
        if len(self.faults) > before:
            kept = self.folder / f"chain-{self.chains}"
            shutil.copytree(self.home, kept / "home", ignore=shutil.ignore_patterns("prefect"), symlinks=True)
            shutil.copyfile(self.folder / "output.txt", kept / "output.txt")
        self.fresh()

    def close(self, began: float) -> None:
        """Says what came of it, and ends every process that it left."""
        self.report(began)
        for process in state.processes(self.mark, but=set()):
            with suppress(psutil.Error):
                process.kill()

    def report(self, began: float) -> None:
        kills = sum(self.kills.values())
        print(f"\n{kills} kills in {self.chains} chains, {time.monotonic() - began:.0f} s, {len(self.faults)} faults")
        for title, part in (("how", 0), ("where", 1)):
            by = Counter[str]()
            for key, number in self.kills.items():
                by[key[part]] += number
            print(f"{title}: " + ", ".join(f"{name} {number}" for name, number in by.most_common()), flush=True)


KEPT = {"prefect", "servers.json", "servers.lock", "logs"}
ERRORS = ("ENOSPC", "EIO", "EROFS")


def free_port() -> int:
    """One that no other server takes while this one is down, as it might the usual one or one that the kernel gives."""
    for port in range(21_000, 31_000):
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


def conduct(campaign: Campaign, asked: argparse.Namespace) -> None:
    """The named places, then random moments."""
    campaign.begin()
    for name, hows, places in CHAINS if asked.places is not None else []:
        if not asked.places or name.startswith(tuple(asked.places)):
            for number, place in enumerate(places):
                campaign.at(place, hows[number % len(hows)])
            campaign.judge(name)
    if asked.fork:
        campaign.forked = Forked(campaign.root, campaign.environment(), campaign.folder / "output.txt")
    if asked.kills:
        campaign.time()
        campaign.fresh()
    goal = sum(campaign.kills.values()) + asked.kills
    while sum(campaign.kills.values()) < goal:
        in_a_row = campaign.random.randint(1, asked.most)
        while in_a_row and campaign.at_random():
            in_a_row -= 1
        campaign.judge("random moments")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="at random moments")
    parser.add_argument("--most", type=int, default=8, help="kills in a row before a run is let finish")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--places", nargs="*", help="named places too: all, or chains whose name begins so")
    parser.add_argument("--fork", action="store_true", help="forks the command for the random ones: no imports")
    asked = parser.parse_args()
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="campaign-"))
    print(f"in {folder}", flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background job, and all it starts, is deaf to the latter
        signal.signal(number, signal.default_int_handler)
    campaign = Campaign(folder, random.Random(asked.seed))
    try:
        conduct(campaign, asked)
    finally:
        campaign.close(began)
    return bool(campaign.faults)


if __name__ == "__main__":
    sys.exit(main())
