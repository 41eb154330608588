"""The DVC workspace: which stages are stale, why, running one as `dvc repro` would, runs of the past.

This package alone imports dvc.
"""

from flows.workspace.bringing import Outcome, bring_up_to_date
from flows.workspace.cache import holding_cache, objects
from flows.workspace.graph import NEVER, order_lock, outputs, plan
from flows.workspace.kept import kept_files
from flows.workspace.leftovers import clear_leftovers
from flows.workspace.past import bring_back, revision, run_again, share_cache
from flows.workspace.sharing import push, share_with, shared_with, try_remote
from flows.workspace.whole import damaged_outputs, make_whole

__all__ = [
    "NEVER",
    "Outcome",
    "bring_back",
    "bring_up_to_date",
    "clear_leftovers",
    "damaged_outputs",
    "holding_cache",
    "kept_files",
    "make_whole",
    "objects",
    "order_lock",
    "outputs",
    "plan",
    "push",
    "revision",
    "run_again",
    "share_cache",
    "share_with",
    "shared_with",
    "try_remote",
]
