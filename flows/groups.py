"""Which runs are one recipe, tried with other seeds and on other folds: the board shows their mean and deviation."""

import hashlib
import json
from collections.abc import Mapping

GROUP = "medloop.group"
FOLDS = ("fold", "repeat", "split.fold", "split.repeat", "split.test_sha256")
SEED = "seed"


def group(params: Mapping[str, object], within: str = "") -> str:
    """The same for runs whose parameters differ in seeds and folds alone. within: what else they share."""
    kept = {k: v for k, v in params.items() if k not in FOLDS and k.rpartition(".")[2] != SEED}
    return hashlib.sha256(json.dumps([within, kept], sort_keys=True, default=str).encode()).hexdigest()[:32]
