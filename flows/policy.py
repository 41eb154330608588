"""What stays on a machine and for how long: `keep` in params.yaml, which no stage reads."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from contracts.errors import MedloopError
from contracts.frozen import Frozen
from contracts.names import nearest
from flows.schedule import Schedule
from flows.studies import PARAMS, read_yaml

SECTION = "keep"
Count = Annotated[int, Field(strict=True, ge=1)]
Days = Annotated[int, Field(strict=True, ge=0, le=36_500)]  # a century: a calendar does not reach back much further


class Keep(Frozen):
    """What `medloop gc` leaves and `medloop upkeep` keeps.

    runs: of each study the newest; days: and every younger one. Whatever the numbers say, a run stays that a champion,
        a former one or an alias of a registered model needs.
    versions: the registered models whose runs stay as well, all or of each study the newest.
    tried: days that stages stay which ran without being recorded, as in sweeps, folds and searches, and checkpoints.
    backups: of each database. log: MiB at which a server's log is begun anew; one former is kept.
    schedule: when `medloop serve` sees to all of it, as a study's own.
    """

    runs: Count = 30
    days: Days = 90
    versions: Literal["all"] | Count = "all"
    tried: Days = 14
    backups: Count = 7
    log: Count = 20
    schedule: Schedule = Schedule(cron="0 4 * * *")


def policy(root: Path) -> Keep:
    """As params.yaml has it. Raises MedloopError naming a key that is wrong."""
    path = root / PARAMS
    given = read_yaml(path).get(SECTION) or {}
    try:
        return Keep.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        keys = [str(part) for part in first["loc"] if part not in ("constrained-int", "literal['all']")]
        known = Keep.model_fields if len(keys) == 1 else Schedule.model_fields
        hint = nearest(keys[-1], known) if first["type"] == "extra_forbidden" else ""
        said = f"unknown key {keys[-1]}{hint}" if first["type"] == "extra_forbidden" else str(first["msg"])
        said = "`all` or a number from 1 on was expected" if keys == ["versions"] else said
        raise MedloopError(
            said.removeprefix("Value error, "),
            where=f"{path}, {'.'.join([SECTION, *keys])}",
            mend="docs/upkeep.md says what each key means",
        ) from None
