"""Training rows that a model is not shown, chosen by imbalanced-learn's under-sampling; nothing is deleted."""

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.nominal import Features, Rows
from pipelines.oversampling import places_of

UnderSampling = Literal["random_under", "patient_under", "near_miss_1", "near_miss_2", "near_miss_3", "cluster_under"]
Cleaning = Literal["tomek_links", "enn", "repeated_enn"]
Mask = NDArray[np.bool_]

NEIGHBOURS = 3  # as in Wilson's and NearMiss's papers


def undersample(
    method: UnderSampling, features: Features, target: Rows, patients: NDArray[Any], *, share: float, seed: int
) -> Mask:
    """Masks rows of each class until the smallest class is this share of it.

    Where equally good rows are fewer than that (NearMiss-3, two clusters of one nearest row), more rows are masked.

    Shape: features (N, F), target (N,), patients (N,) -> (N,), True for a masked row
    """
    count = np.bincount(target)
    least = int(count[count > 0].min())
    most = int(np.rint(least / share))
    sizes = {index: most for index, rows in enumerate(count.tolist()) if rows > most}
    if not sizes:
        return np.zeros(len(target), dtype=bool)
    if method == "patient_under":
        return _patient_mask(target, patients, sizes, seed)
    if method == "cluster_under":
        return _cluster_mask(features, target, sizes, seed)
    if method == "random_under":
        from imblearn.under_sampling import RandomUnderSampler

        return _left_out(RandomUnderSampler(sampling_strategy=sizes, random_state=seed), features, target)
    from imblearn.under_sampling import NearMiss

    near = {"n_neighbors": min(NEIGHBOURS, least), "n_neighbors_ver3": NEIGHBOURS}
    return _left_out(NearMiss(version=int(method[-1]), sampling_strategy=sizes, **near), features, target)


def clean(method: Cleaning, features: Features, target: Rows, *, every_class: bool) -> Mask:
    """Masks rows that lie among another class's: of all but the smallest class, or of every class.

    tomek_links: the nearest neighbour of a row of another class, and that row its own (Tomek, IEEE Trans. SMC 6,
    1976); enn: a neighbour among three is of another class (Wilson, IEEE Trans. SMC 2, 1972); repeated_enn: again
    until nothing changes (Tomek, IEEE Trans. SMC 6, 1976).

    Shape: features (N, F), target (N,) -> (N,), True for a masked row
    """
    from imblearn import under_sampling

    which = {"sampling_strategy": "all" if every_class else "auto"}
    if len(np.unique(target)) < 2:
        return np.zeros(len(target), dtype=bool)
    if method == "tomek_links":
        return _left_out(under_sampling.TomekLinks(**which), features, target)
    edited = under_sampling.EditedNearestNeighbours
    kind = edited if method == "enn" else under_sampling.RepeatedEditedNearestNeighbours
    return _left_out(kind(**which, n_neighbors=min(NEIGHBOURS, len(target) - 1)), features, target)


def _resampled(sampler: Any, features: Features, target: Rows) -> tuple[Features, Rows]:
    with warnings.catch_warnings():
        # NearMiss-3 and k-means warn of fewer rows than asked for; the report counts them
        warnings.simplefilter("ignore", UserWarning)
        kept, classes = sampler.fit_resample(features, target)
    return kept, classes


def _left_out(sampler: Any, features: Features, target: Rows) -> Mask:
    _resampled(sampler, features, target)
    masked = np.ones(len(target), dtype=bool)
    masked[sampler.sample_indices_] = False
    return masked


def _patient_mask(target: Rows, patients: NDArray[Any], sizes: dict[int, int], seed: int) -> Mask:
    """Patients in random order stay while their rows of the class fit, the first in any case; the others are masked."""
    random, masked = np.random.default_rng(seed), np.zeros(len(target), dtype=bool)
    for index, size in sizes.items():
        rows = np.flatnonzero(target == index)
        _, patient, count = np.unique(patients[rows], return_inverse=True, return_counts=True)
        order = random.permutation(len(count))
        stays = np.zeros(len(count), dtype=bool)
        stays[order] = np.cumsum(count[order]) <= size
        stays[order[0]] = True
        masked[rows] = ~stays[patient]
    return masked


def _cluster_mask(features: Features, target: Rows, sizes: dict[int, int], seed: int) -> Mask:
    """As many k-means clusters as rows shall stay; the row nearest to each centre does (Yen and Lee, ESWA 36, 2009)."""
    from imblearn.under_sampling import ClusterCentroids

    masked = np.zeros(len(target), dtype=bool)
    sampler = ClusterCentroids(sampling_strategy=sizes, voting="hard", random_state=seed)
    chosen, classes = _resampled(sampler, features, target)
    for index in sizes:
        rows = np.flatnonzero(target == index)
        masked[rows] = True
        masked[rows[places_of(chosen[classes == index], features[rows])]] = False
    return masked
