import base64

import numpy as np
import pandas as pd
import pytest

from contracts.study import Column
from contracts.tables import Schema
from pipelines.denoising import fit_denoiser
from pipelines.impute import ImputeParams, apply_impute, fit_impute

NAMES = [f"x{i}" for i in range(6)]
SCHEMA = Schema(features=dict.fromkeys(NAMES, Column(type="numeric")), classes=("no", "yes"))


def samples(rows: int = 900) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Six columns of two hidden causes, one of them bent: whole, and with a quarter of the cells gone."""
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, rows))
    causes = np.column_stack([one, two, one + two, one - two, one**2, np.sin(2 * two)])
    values = (causes + 0.2 * rng.normal(size=causes.shape)) * 10 + 100
    whole = pd.DataFrame(values, columns=NAMES)
    holed = whole.mask(rng.random(whole.shape) < 0.25)
    ids = pd.DataFrame({"@id": [f"r{i:04}" for i in range(rows)], "@group": [f"p{i // 3}" for i in range(rows)]})
    return pd.concat([ids, whole], axis=1), pd.concat([ids, holed], axis=1)


def error(method: str) -> float:
    """Over the hidden cells of rows never seen, in standard deviations."""
    whole, holed = samples()
    train, test = holed[:600], holed[600:]
    imputer = fit_impute(train, SCHEMA, ImputeParams.model_validate({"numeric": method, "indicators": False}))
    away = (apply_impute(imputer, test)[NAMES] - whole.loc[600:, NAMES]) / whole[NAMES].std()
    return float(np.sqrt((away.to_numpy()[test[NAMES].isna()] ** 2).mean()))


def test_it_comes_far_closer_than_the_median_and_bends_where_a_regression_cannot() -> None:
    restored = error("autoencoder")
    assert restored < 0.75 * error("median")
    assert restored < error("regression")


def test_torch_is_left_as_it_was_and_the_weights_are_small_and_unreadable() -> None:
    import torch

    _, holed = samples(90)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    fitted = fit_denoiser(holed, NAMES, NAMES, seed=0)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.set_num_threads(2)
    try:
        assert fit_denoiser(holed, NAMES, NAMES, seed=0) == fitted
        assert fit_denoiser(holed, NAMES, NAMES, seed=1) != fitted
    finally:
        torch.set_num_threads(threads)
    assert len(fitted.model_dump_json()) < 10_000
    assert len(base64.b64decode(fitted.linear.weight)) == 4 * 12 * 6


def test_a_row_is_restored_alike_alone_and_among_others() -> None:
    _, holed = samples(90)
    imputer = fit_impute(holed, SCHEMA, ImputeParams(numeric="autoencoder"))
    table = apply_impute(imputer, holed)
    pd.testing.assert_frame_equal(apply_impute(imputer, holed[7:8]), table[7:8], check_exact=True)
    empty = holed[:1].assign(**dict.fromkeys(NAMES, np.nan))
    assert np.isfinite(apply_impute(imputer, empty)[NAMES].to_numpy()).all()


def test_it_needs_no_more_than_one_patient_and_stays_near_what_it_saw() -> None:
    _, holed = samples(30)
    imputer = fit_impute(holed.assign(**{"@group": "p"}), SCHEMA, ImputeParams(numeric="autoencoder"))
    wild = holed.assign(x0=1e12)
    after = apply_impute(imputer, wild)[NAMES[1:]]
    away = (after - holed[NAMES[1:]].mean()) / holed[NAMES[1:]].std(ddof=0)
    assert away.abs().max().max() < 4.01


@pytest.mark.parametrize("method", ["autoencoder", "median"])
def test_known_cells_stay_as_they_are(method: str) -> None:
    _, holed = samples(60)
    params = ImputeParams.model_validate({"columns": {"x0": "autoencoder"}, "numeric": method})
    table = apply_impute(fit_impute(holed, SCHEMA, params), holed)
    assert table[NAMES].where(holed[NAMES].notna()).equals(holed[NAMES])
