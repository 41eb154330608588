"""Seeds in a sweep: what is told of them, and what is not taken for a choice."""

from types import SimpleNamespace
from typing import Any

from flows.sweep import Sweep, over_seeds


def sweep(scores: dict[tuple[str, str, str], float]) -> Sweep:
    """Found scores by model, seed and width."""
    found: Any = Sweep(study=SimpleNamespace(), key="k")  # type: ignore[arg-type]
    for (model, seed, width), score in scores.items():
        label = f"{model}, {seed}, {width}"
        metrics = {"auroc": SimpleNamespace(value=score)}
        found.entries[label] = SimpleNamespace(evaluation=SimpleNamespace(metrics=metrics))
        found.combinations[label] = ({"train.seed": seed, "models.mlp.width": width}, model)
    return found  # type: ignore[no-any-return]


def test_seeds_are_told_together_and_other_settings_apart() -> None:
    found = sweep({("mlp", "0", "8"): 0.8, ("mlp", "1", "8"): 0.9, ("mlp", "0", "16"): 0.7, ("ridge", "0", "8"): 0.5})
    told = over_seeds(found, "auroc")
    assert {name: str(spread) for name, spread in told.items()} == {
        "mlp, 8": "0.850 ± 0.071 (0.800 to 0.900)",
        "mlp, 16": "–",  # one seed has no deviation
        "ridge, 8": "–",
    }


def test_a_sweep_without_seeds_tells_none() -> None:
    found = sweep({("mlp", "0", "8"): 0.8})
    found.combinations = {
        label: ({"balance.method": "none"}, model) for label, (_, model) in found.combinations.items()
    }
    assert over_seeds(found, "auroc") == {}
