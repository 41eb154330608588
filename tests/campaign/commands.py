"""Commands other than `run` killed at random moments: the same command given again must leave what a clean one does.

    python -m tests.campaign.commands --kills 4 --seed 0 retrain serve promote share gc upkeep

Each begins with a workspace that was run once, or, with new rows each time, thrice; see `CASES`.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from tests.campaign import state
from tests.campaign.__main__ import RUN_LIMIT_S, Campaign, Forked
from tests.workspace import make_workspace, patients

FEW = {"runs": 1, "days": 0, "versions": 1, "tried": 0}
SCHEDULE = {"every": "1 day", "catch_up": "one", "retries": 3, "retry_delay": "10 seconds"}


@dataclass(frozen=True)
class Case:
    """A command, after how many runs it is given, and what is made ready for it."""

    command: tuple[str, ...]
    runs: int
    ready: Callable[["Commands"], None]


class Commands(Campaign):
    """A campaign of which each chain is one command."""

    def change(self, file: str, **sections: Any) -> None:
        path, yaml = self.root / file, YAML()
        content = yaml.load(path.read_text())
        content.update(sections)
        with path.open("w") as written:
            yaml.dump(content, written)

    def grow(self, times: int) -> None:
        """More patients each time."""
        more = patients(120, seed=times).assign(
            record=lambda t: f"{times}" + t["record"], patient=lambda t: t["patient"] + f"-{times}"
        )
        known = pd.read_csv(self.root / "patients.csv", dtype=str, keep_default_na=False)
        pd.concat([known, more]).to_csv(self.root / "patients.csv", index=False)

    def remote(self) -> None:
        """Git's origin, empty, and no DVC remote yet."""
        for name in ("remote", "origin.git"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        subprocess.run(["git", "init", "-q", "--bare", str(self.folder / "origin.git")], check=True)
        subprocess.run(["git", "remote", "add", "origin", str(self.folder / "origin.git")], cwd=self.root, check=True)

    def slot(self) -> None:
        """New rows, and a slot that came while nothing served."""
        self.grow(1)
        self.change("studies/tiny.yaml", schedule=SCHEDULE)
        through = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        ledger = self.home / "schedules" / "tiny.json"
        ledger.parent.mkdir()
        ledger.write_text(json.dumps({"through": through}))

    def ended(self, child: "subprocess.Popen[bytes] | Forked") -> int:
        """One that serves is asked to end once no slot is open."""
        if self.command[0] != "serve":
            return super().ended(child)
        ledger, deadline = self.home / "schedules" / "tiny.json", time.monotonic() + RUN_LIMIT_S
        while time.monotonic() < deadline:
            slots = json.loads(ledger.read_text()).get("slots", [])
            if slots and not any(slot["state"] in ("due", "running") for slot in slots):
                break
            time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        return child.wait(60)

    def snapshot(self) -> dict[str, Any]:
        """What other places hold, too."""
        kept = sorted(p for name in ("remote", "origin.git/refs") for p in (self.folder / name).rglob("*"))
        there = {str(p.relative_to(self.folder)): hashlib.md5(p.read_bytes()).hexdigest() for p in kept if p.is_file()}
        backups = len(list((self.home / "backups").glob("*.db")))
        return {"remote": there, "a backup": bool(backups)}

    def undisturbed(self, what: str) -> None:
        """The clean command, and what it leaves."""
        before = len(self.faults)
        self.time()
        if self.faults[before:]:
            raise SystemExit(f"{what} fails even where nobody disturbs it: {self.faults[-1]}")
        self.clean, self.elsewhere = state.snapshot(self.root, self.home, self.scratch), self.snapshot()
        print(f"{what}: {self.clean_s:.0f} s; { ({k: self.clean[k] for k in SHOWN}) }", flush=True)

    def judge(self, what: str) -> None:
        """What lies elsewhere first, since the workspace is made fresh at the end."""
        before = len(self.faults)
        super().judge(what)
        if self.seen != self.elsewhere:
            self.faults.append(f"{what}: elsewhere: {state._gap(self.elsewhere, self.seen)}")
        for fault in self.faults[before:]:
            print(f"      {fault[:600]}", flush=True)

    def finish(self, what: str) -> None:
        super().finish(what)
        self.seen = self.snapshot()


SHOWN = ("recorded runs", "gates", "aliases", "decisions", "slots")
CASES = {
    "retrain": Case(("retrain", "tiny"), 1, lambda c: c.grow(1)),
    "serve": Case(("serve", "tiny"), 1, Commands.slot),
    "promote": Case(("promote", "tiny", "2", "--why", "it is better"), 3, lambda c: None),
    "share": Case(("share", "{folder}/remote"), 3, Commands.remote),
    "gc": Case(("gc", "--yes"), 3, lambda c: c.change("params.yaml", keep=FEW)),
    "upkeep": Case(("upkeep",), 3, lambda c: c.change("params.yaml", keep=FEW)),
}


def settings(content: dict) -> None:
    content["models"] = {"logistic": {}, "mlp": {"train": {"epochs": 10}}}
    content["gate"] = {"decision": "promote", "margin": 0.9, "calibration": None}


def begin(campaign: Commands) -> None:
    workspace = make_workspace(campaign.root)
    workspace.write_study(settings)
    for arguments in (["add", "-A"], ["commit", "-qm", "the campaign's study"]):
        who = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=campaign.root, check=True)
    campaign.scratch.mkdir()
    campaign.home.mkdir()
    campaign.finish("a first run")


def play(campaign: Commands, name: str, case: Case, kills: int, most: int) -> None:
    """As many kills of this command, up to so many in a row."""
    campaign.keep()
    campaign.command = tuple(word.format(folder=campaign.folder) for word in case.command)

    def fresh() -> None:
        Campaign.fresh(campaign)
        case.ready(campaign)

    campaign.fresh = fresh  # type: ignore[method-assign]
    campaign.fresh()
    campaign.undisturbed(name)
    campaign.fresh()
    goal, tries = sum(campaign.kills.values()) + kills, 0
    while sum(campaign.kills.values()) < goal and tries < 3 * kills:
        in_a_row = campaign.random.randint(1, most)
        while in_a_row and campaign.at_random():
            in_a_row, tries = in_a_row - 1, tries + 1
        tries += 1
        campaign.judge(name)
    del campaign.fresh
    campaign.fresh()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", default=list(CASES))
    parser.add_argument("--kills", type=int, default=4, help="of each command")
    parser.add_argument("--most", type=int, default=2, help="kills in a row")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="campaign-"))
    print(f"in {folder}", flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    campaign, done = Commands(folder, random.Random(asked.seed)), 1
    try:
        begin(campaign)
        for name, case in sorted(CASES.items(), key=lambda pair: pair[1].runs):
            if name not in asked.commands:
                continue
            while done < case.runs:
                campaign.command = ("run", "tiny")
                campaign.grow(done)
                done += 1
                campaign.finish(f"run {done}")
            play(campaign, name, case, asked.kills, asked.most)
    finally:
        campaign.close(began)
    return bool(campaign.faults)


if __name__ == "__main__":
    sys.exit(main())
