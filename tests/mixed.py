"""A small made-up study of every kind of column: pictures, recordings, reports, numbers and levels."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from tests.workspace import Workspace

PATIENTS = 90
WORDS = ("clear", "effusion", "opacity", "normal", "enlarged", "stable", "left", "right", "basal", "heart", "lungs")


def change(study: dict) -> None:
    """Turns the made-up table's study into this one."""
    study["source"] = {"kind": "file", "path": "mixed/visits.csv"}
    study["columns"] = {
        "age": {"type": "numeric", "unit": "years", "range": [0, 120]},
        "sex": {"type": "categorical", "levels": ["f", "m"]},
        "scan": {"type": "image", "size": [32, 32], "colour": "grey", "depth": 8},
        "gait": {"type": "sequence", "rate": 20},
        "report": {"type": "text"},
    }
    study["balance"] = {"method": "random_over"}
    study["normalize"] = {"words": 50, "cells": 4, "min_count": 5}
    small = {"pretraining": 2, "width": 8, "code": 4, "filters": [4], "train": {"epochs": 2}}
    study["models"] = {"logistic": {}, "autoencoder": small}


def write(workspace: Workspace) -> None:
    """Writes the study, its table and its files; the label shows in each kind of column."""
    rng = np.random.default_rng(0)
    folder = workspace.root / "mixed"
    for kind in ("scans", "gait"):
        (folder / kind).mkdir(parents=True)
    rows = [_visit(folder, number, rng) for number in range(PATIENTS)]
    pd.DataFrame(rows).to_csv(folder / "visits.csv", index=False)
    workspace.write_study(change, "mixed")


def _visit(folder: Path, number: int, rng: np.random.Generator) -> dict[str, object]:
    ill = number % 3 == 0
    scan, gait = f"scans/{number}.png", f"gait/{number}.csv"
    _picture(ill, rng).save(folder / scan)
    _recording(ill, rng).to_csv(folder / gait, index=False)
    words = rng.choice(WORDS, 24).tolist() + (["effusion"] * 4 if ill else [])
    return {
        "record": f"r{number:03d}",
        "patient": f"p{number:03d}",
        "age": int(rng.normal(60 + 5 * ill, 10)),
        "sex": rng.choice(["f", "m"]),
        "scan": scan if number % 11 else "",
        "gait": gait,
        "report": " ".join(rng.permutation(words)),
        "ill": "yes" if ill else "no",
    }


def _picture(ill: bool, rng: np.random.Generator) -> Image.Image:
    coarse = rng.integers(0, 200, (6, 6), dtype=np.uint8)
    coarse[2:4, 2:4] = 250 if ill else 60
    return Image.fromarray(coarse).resize((48, 40), Image.Resampling.BICUBIC)


def _recording(ill: bool, rng: np.random.Generator) -> pd.DataFrame:
    steps = int(rng.integers(60, 90))
    walk = np.sin(np.arange(steps) / 20 * 2 * np.pi * (1.2 if ill else 1.8)) + rng.normal(0, 0.2, steps)
    walk[10:13] = np.nan
    return pd.DataFrame({"ax": walk, "ay": rng.normal(0, 1, steps)})
