"""Upkeep by `medloop serve`: slots of its own, accounted for as a study's are, taken when no study runs."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from contracts.errors import MedloopError
from flows import ledger as ledgers
from flows.ledger import Ledger, Outcome, Slot
from flows.policy import Keep, policy
from flows.schedule import Schedule
from flows.serving import HELD_PAUSE_S, Tell, Work

NAME = "_upkeep"  # no study's


class Nightly:
    """Keeps the upkeep's schedule: `tick` as often as you like, `close` at the end.

    A failure is told and stops nothing. start: begins the work; wall, steady: as of `flows.serving.Keeper`.
    """

    def __init__(
        self,
        root: Path,
        start: Callable[[], Work],
        *,
        wall: Callable[[], datetime],
        steady: Callable[[], float],
        tell: Tell,
    ) -> None:
        self._root, self._start, self._wall, self._steady, self._tell = root, start, wall, steady, tell
        self._pause_until = float("-inf")
        self._current: tuple[Slot, Work] | None = None
        self._schedule, self._ledger = self._declared(), self._known()
        ledgers.reconcile(self._ledger, self._schedule, self._now())
        self._save()

    def tick(self, *, idle: bool) -> None:
        """Enters what has become due, ends what has ended, and begins what is due where no study's run goes on."""
        if ledgers.look(self._ledger, self._schedule, self._now()):
            self._save()
        if self._current:
            self._mind(*self._current)
        elif idle and self._steady() >= self._pause_until:
            slot = next(ledgers.ready(self._ledger, self._schedule, self._now()), None)
            if slot:
                ledgers.begin(slot, self._now())
                self._save()
                self._current = slot, self._start()

    def close(self) -> None:
        """Ends the work; its slot is due when serving starts again."""
        if self._current:
            slot, work = self._current
            work.stop()
            self._end(slot, work, work.outcome() or Outcome(state="due"))

    def _mind(self, slot: Slot, work: Work) -> None:
        came = work.outcome()
        if came:
            self._end(slot, work, came)

    def _end(self, slot: Slot, work: Work, came: Outcome) -> None:
        self._current = None
        if came.state == "due":
            ledgers.put_back(slot)
            self._pause_until = self._steady() + HELD_PAUSE_S
        else:
            ledgers.end(self._ledger, slot, self._schedule, self._now(), came)
        self._save()
        work.settle(came)

    def _declared(self) -> Schedule:
        try:
            return policy(self._root).schedule
        except MedloopError as fault:
            self._tell(NAME, f"goes by its default schedule: {fault.problem} ({fault.where})")
            return Keep().schedule

    def _known(self) -> Ledger:
        """A damaged one begins anew: upkeep twice does no harm."""
        try:
            return ledgers.read(self._root, NAME) or Ledger(through=self._now())
        except MedloopError:
            return Ledger(through=self._now())

    def _now(self) -> datetime:
        return self._wall().astimezone(UTC).replace(microsecond=0)

    def _save(self) -> None:
        ledgers.save(self._root, NAME, self._ledger)
