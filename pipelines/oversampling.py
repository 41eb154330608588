"""Rows made for a small class by imbalanced-learn, each traced to the training row that it descends from."""

from typing import Any, Literal

import numpy as np

from contracts.errors import MedloopError
from pipelines.nominal import Features, Groups, Rows, coded, decoded, numeric_places

OverSampling = Literal["random_over", "smote", "smote_nc", "smote_n", "borderline_smote", "svm_smote", "adasyn"]


def check_categories(method: OverSampling, groups: Groups, width: int) -> None:
    """Raises MedloopError when `smote_nc` or `smote_n` is asked for features that are not of its kind."""
    numbers = len(numeric_places(groups, width))
    if method == "smote_nc" and not (groups and numbers):
        kind, other = ("categories", "smote_n") if groups else ("numbers", "smote")
        raise MedloopError(
            f"smote_nc is for numbers and categories; the features are {kind} only", mend=f"balance.method: {other}"
        )
    if method == "smote_n" and numbers:
        raise MedloopError(
            f"smote_n is for categories only; {numbers} of {width} features hold numbers",
            mend="balance.method: smote_nc",
        )


def oversample(
    method: OverSampling,
    features: Features,
    target: Rows,
    groups: Groups,
    *,
    index: int,
    size: int,
    neighbours: int,
    seed: int,
) -> tuple[Features, Rows]:
    """The rows that bring class `index` to `size`, and the row that each descends from.

    0 neighbours are copies. No rows come back where the method finds none to start from: Borderline-SMOTE, SVM-SMOTE
    and ADASYN start at rows close to another class. A made row has no half level: it keeps its origin's categories
    (smote_nc and smote_n: takes, group by group, the commonest among the neighbours).

    Shape: features (N, F), target (N,) -> (M, F), (M,)
    """
    settings = {"sampling_strategy": {index: size}, "random_state": seed}
    if not neighbours:
        return _copies(features, target, settings)
    nominal = method in ("smote_nc", "smote_n")
    given = coded(features, groups) if nominal else features
    categories = list(range(given.shape[1] - len(groups), given.shape[1]))
    sampler = _sampler(method, settings, neighbours, near=min(10, len(target) - 1), categories=categories)
    try:
        made = sampler.fit_resample(given, target)[0][len(target) :].astype(np.float32)
    except (RuntimeError, ValueError):
        # how imbalanced-learn says that these two find no row to start from
        if method not in ("adasyn", "svm_smote"):
            raise
        made = features[:0].copy()
    origin = _origin(method, sampler, features, target, index, size, neighbours, seed) if len(made) else target[:0]
    if nominal:
        return decoded(made, groups, features.shape[1]), origin
    fixed = np.concatenate([np.empty(0, dtype=np.int64), *groups])
    made[:, fixed] = features[np.ix_(origin, fixed)]
    return made, origin


def places_of(part: Features, whole: Features) -> Rows:
    """Where each row of `part` stands in `whole`; of equal rows the first.

    Shape: part (M, F), whole (N, F) -> (M,)
    """
    first: dict[bytes, int] = {}
    for place, row in enumerate(whole):
        first.setdefault(row.tobytes(), place)
    return np.array([first[row.tobytes()] for row in part], dtype=np.int64)


def _copies(features: Features, target: Rows, settings: dict[str, Any]) -> tuple[Features, Rows]:
    from imblearn.over_sampling import RandomOverSampler

    copier = RandomOverSampler(**settings)
    copier.fit_resample(np.zeros((len(target), 1)), target)
    origin = copier.sample_indices_[len(target) :]
    return features[origin], origin


def _sampler(
    method: OverSampling, settings: dict[str, Any], neighbours: int, *, near: int, categories: list[int]
) -> Any:
    from imblearn.over_sampling import ADASYN, SMOTE, SMOTEN, SMOTENC, SVMSMOTE, BorderlineSMOTE

    if method == "adasyn":
        return ADASYN(**settings, n_neighbors=neighbours)
    settings = settings | {"k_neighbors": neighbours}
    if method == "smote_n":
        return SMOTEN(**settings)
    if method == "smote_nc":
        return _traced(SMOTENC)(**settings, categorical_features=categories)
    if method == "smote":
        return _traced(SMOTE)(**settings)
    kind = BorderlineSMOTE if method == "borderline_smote" else SVMSMOTE
    return _traced(kind)(**settings, m_neighbors=near)


def _traced(sampler: type) -> type:
    """A sampler of SMOTE's family, none of which tells a made row's parents, with `starts`: where each one starts.

    All of them interpolate in `_generate_samples` between rows of X and rows of the whole class, `nn_data`.
    """

    class Traced(sampler):  # type: ignore[misc]
        def _generate_samples(self, X, nn_data, nn_num, rows, cols, steps, *rest, **more):  # type: ignore[no-untyped-def]  # noqa: N803
            within_class = rows if X is nn_data else places_of(X, nn_data)[rows]
            self.starts = [*getattr(self, "starts", []), *within_class]
            return super()._generate_samples(X, nn_data, nn_num, rows, cols, steps, *rest, **more)

    return Traced


def _origin(
    method: OverSampling,
    sampler: Any,
    features: Features,
    target: Rows,
    index: int,
    size: int,
    neighbours: int,
    seed: int,
) -> Rows:
    """The row that each made one starts at."""
    rows = np.flatnonzero(target == index)
    if method == "adasyn":
        return rows[_adasyn_starts(features, target, index, neighbours, size - len(rows))]
    if method == "smote_n":
        # the sampler's own draw, made again since it does not keep it
        return rows[np.random.RandomState(seed).choice(len(rows), size=size - len(rows))]
    return rows[np.array(sampler.starts, dtype=np.int64)]


def _adasyn_starts(features: Features, target: Rows, index: int, neighbours: int, wanted: int) -> Rows:
    """How often ADASYN starts at each row of the class: in proportion to its neighbours of another class.

    He et al., "ADASYN", IJCNN 2008; the arithmetic of imbalanced-learn, which keeps no trace of it.
    """
    from sklearn.neighbors import NearestNeighbors

    of_class = features[target == index]
    near = NearestNeighbors(n_neighbors=neighbours + 1).fit(features).kneighbors(of_class, return_distance=False)
    share = (target[near[:, 1:]] != index).sum(axis=1) / neighbours
    return np.repeat(np.arange(len(of_class)), np.rint(share / share.sum() * wanted).astype(np.int64))
