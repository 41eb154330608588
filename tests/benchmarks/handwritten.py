"""What a careful person would write for `diabetes` with the same libraries, in one script and one process.

Usage: handwritten.py WHEEL FOLDER. The same cohort, columns, split sizes, models, intervals and records as the study;
nothing is cached, versioned, audited or repeatable. Prints its parts as JSON.
"""

import io
import json
import sys
import time
import warnings
import zipfile
from pathlib import Path

warnings.filterwarnings("ignore")
PARTS: dict[str, float] = {}
_last = time.perf_counter()


def part(name: str) -> None:
    global _last
    now = time.perf_counter()
    PARTS[name] = round(now - _last, 2)
    _last = now


import great_expectations as gx
import mlflow
import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

part("imports")
MEMBER = "nhanes/combined_data/2017-2018/NHANES_data_2017-2018.tsv"
TARGET = "DoctorToldYouHaveDiabetes"
LEAKS = [
    "DiabeticDiet",
    "AgeWhenFirstToldYouHadDiabetes",
    "EverToldYouHavePrediabetes",
    "EverToldHaveHealthRiskForDiabetes",
    "TakingInsulinNow",
    "TakeDiabeticPillsToLowerBloodSugar",
    "Glycohemoglobin",
    "WhatWasYourLastA1CLevel",
    "FamilyHistory",
]

raw = zipfile.ZipFile(sys.argv[1]).read(MEMBER)
table = pd.read_csv(io.BytesIO(raw), sep="\t", index_col=0, low_memory=False)
table = table[(table["AgeInYearsAtScreening"] >= 20) & table[TARGET].isin(["0", "1"])]
y = (table[TARGET] == "1").to_numpy().astype(int)
x = table.drop(columns=[TARGET, *LEAKS]).replace(dict.fromkeys(("", "?"), np.nan))
x = x.drop(columns=[c for c in x if x[c].isna().all() or x[c].nunique() + x[c].isna().any() < 2])
part("read and clean")

context = gx.get_context(mode="ephemeral")
batch = context.data_sources.add_pandas("p").add_dataframe_asset("t").add_batch_definition_whole_dataframe("b")
suite = context.suites.add(gx.ExpectationSuite(name="s"))
for column in x.select_dtypes("number"):
    suite.add_expectation(gx.expectations.ExpectColumnValuesToBeBetween(column=column, min_value=-1e6, max_value=1e6))
batch.get_batch({"dataframe": x}).validate(suite)
part("validate")

train, rest = train_test_split(np.arange(len(y)), test_size=0.35, stratify=y, random_state=0)
val, test = train_test_split(rest, test_size=0.2 / 0.35, stratify=y[rest], random_state=0)
prepare = make_column_transformer(
    (
        make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
        make_column_selector(dtype_include="number"),
    ),
    (
        make_pipeline(
            SimpleImputer(strategy="constant", fill_value="missing"),
            OneHotEncoder(handle_unknown="ignore", min_frequency=10, sparse_output=False),
        ),
        make_column_selector(dtype_exclude="number"),
    ),
)
a = prepare.fit_transform(x.iloc[train]).astype(np.float32)
v, t = (prepare.transform(x.iloc[i]).astype(np.float32) for i in (val, test))
part("prepare")

scores = {
    "logistic": LogisticRegression(C=0.05, max_iter=2000, class_weight="balanced")
    .fit(a, y[train])
    .predict_proba(t)[:, 1],
    "boosting": HistGradientBoostingClassifier(early_stopping=True, class_weight="balanced")
    .fit(a, y[train])
    .predict_proba(t)[:, 1],
}
part("baselines")


class Net(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(a.shape[1], 128), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(128, 1)
        )
        self.loss = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor((1 - y[train].mean()) / y[train].mean()))

    def training_step(self, batch, _):
        return self.loss(self.net(batch[0])[:, 0], batch[1])

    def validation_step(self, batch, _):
        self.log("val_loss", self.loss(self.net(batch[0])[:, 0], batch[1]))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=1e-2)


def loader(features: np.ndarray, label: np.ndarray, shuffle: bool) -> torch.utils.data.DataLoader:
    data = torch.utils.data.TensorDataset(torch.from_numpy(features), torch.from_numpy(label.astype(np.float32)))
    return torch.utils.data.DataLoader(data, batch_size=64, shuffle=shuffle)


net = Net()
stop = pl.callbacks.EarlyStopping("val_loss", patience=5)
best = pl.callbacks.ModelCheckpoint(dirpath=sys.argv[2], monitor="val_loss", save_weights_only=True)
trainer = pl.Trainer(
    max_epochs=30, callbacks=[stop, best], logger=False, enable_progress_bar=False, enable_model_summary=False
)
trainer.fit(net, loader(a, y[train], True), loader(v, y[val], False))
with torch.no_grad():
    scores["mlp"] = torch.sigmoid(net.net.eval()(torch.from_numpy(t))[:, 0]).numpy()
part("network")

rng = np.random.default_rng(0)
metrics = {}
for name, score in scores.items():
    draws = [roc_auc_score(y[test][i], score[i]) for i in (rng.integers(0, len(test), len(test)) for _ in range(1000))]
    metrics[name] = {
        "auroc": roc_auc_score(y[test], score),
        "auroc_low": np.quantile(draws, 0.025),
        "auroc_high": np.quantile(draws, 0.975),
        "average_precision": average_precision_score(y[test], score),
        "brier": brier_score_loss(y[test], score),
    }
part("intervals")

mlflow.set_tracking_uri(f"sqlite:///{Path(sys.argv[2]) / 'mlflow.db'}")
mlflow.set_experiment("diabetes")
for name, values in metrics.items():
    with mlflow.start_run(run_name=name):
        mlflow.log_metrics({k: float(q) for k, q in values.items()})
part("track")
print(json.dumps({"parts": PARTS, "auroc": {n: round(float(m["auroc"]), 3) for n, m in metrics.items()}}))
