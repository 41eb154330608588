"""Time to an event as hazards of intervals: the chance that it happens in one, for those whom it spared until then.

Gensheimer & Narasimhan, "A scalable discrete-time survival model for neural networks", PeerJ 7, 2019 (nnet-survival);
Kvamme & Borgan, "Continuous and discrete-time survival prediction with neural networks", Lifetime Data Analysis 27,
2021, who find that cuts at quantiles of the events' times do well.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.follow_up import followed

Floats = NDArray[np.float64]
INTERVALS, EVENTS = 15, 10  # at most so many intervals, of about so many training events or more each
PAIRS = 1 << 22  # of an event and a row that concordance compares; of more, every second, third … event


def cuts(target: Floats, horizon: float) -> list[float]:
    """The intervals' ends, at quantiles of the times of events, the horizon among them; the last event lies before the
    last. All but the horizon are rounded, for none is to be a patient's own time.

    Shape: target (N,).
    """
    time, happened = followed(target)
    events = time[happened]
    pieces = int(np.clip(len(events) // EVENTS, 2, INTERVALS))
    inner = _rounded(np.quantile(events, np.linspace(0, 1, pieces + 1)[1:-1]))
    last = _rounded(np.array([events.max()]), up=True)
    ends = np.unique(np.concatenate([inner, last]))
    apart = np.abs(ends - horizon) > 0.02 * horizon  # the horizon takes a near one's place
    return [float(end) for end in np.unique(np.append(ends[apart & (ends > 0)], horizon))]


def _rounded(values: Floats, *, up: bool = False) -> Floats:
    """To three figures, or up to the next of two."""
    step = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-300))) - 1)
    higher = np.ceil(values / step) * step if up else values
    return np.array([float(f"{value:.3g}") for value in higher])


def courses(target: Floats, cuts: Sequence[float]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """By interval whether a row tells of it, and whether its event fell into it.

    The intervals reach up to their ends, these included. Who was censored is told of those intervals of which they saw
    half or more; an event beyond the last interval was not seen. Shape: (N,), K cuts -> (N, K), (N, K).
    """
    time, happened = followed(target)
    ends = np.asarray(cuts, dtype=np.float64)
    starts = np.append(0.0, ends[:-1])
    time, happened = time[:, None], happened[:, None]
    fell = happened & (time <= ends) & ((time > starts) | (starts == 0))
    return fell | (time >= np.where(happened, ends, (starts + ends) / 2)), fell


def survival(logits: Floats) -> Floats:
    """The chance to be spared up to each cut. Shape: log-odds of the hazards (N, K) -> (N, K)."""
    return np.asarray(np.exp(-np.cumsum(np.logaddexp(0, logits), axis=1)), dtype=np.float64)


def losses(spared: Floats, target: Floats, cuts: Sequence[float]) -> Floats:
    """−log likelihood of each row's course, in nats.

    Shape: spared (N, K) as `survival` gives it, target (N,) -> (N,).
    """
    told, fell = courses(target, cuts)
    before = np.concatenate([np.ones((len(spared), 1)), spared[:, :-1]], axis=1)
    stays = np.clip(spared / np.maximum(before, 1e-300), 1e-12, 1 - 1e-12)
    nats = np.where(fell, -np.log1p(-stays), -np.log(stays))
    return np.asarray((nats * told).sum(axis=1), dtype=np.float64)


def at(spared: Floats, cuts: Sequence[float], times: Floats) -> Floats:
    """The chance to be spared up to other times, a straight line within an interval, flat beyond the last.

    Shape: (N, K), (T,) -> (N, T).
    """
    ends, curve = np.append(0.0, cuts), np.concatenate([np.ones((len(spared), 1)), spared], axis=1)
    place = np.clip(np.searchsorted(ends, times, side="left"), 1, len(cuts))
    share = np.clip((times - ends[place - 1]) / (ends[place] - ends[place - 1]), 0, 1)
    return np.asarray(curve[:, place - 1] * (1 - share) + curve[:, place] * share, dtype=np.float64)


def median(spared: Floats, cuts: Sequence[float]) -> Floats:
    """The time by which half of such rows have had the event; NaN where fewer have by the last cut.

    Shape: (N, K) -> (N,).
    """
    ends, curve = np.append(0.0, cuts), np.concatenate([np.ones((len(spared), 1)), spared], axis=1)
    place = np.maximum((curve > 0.5).sum(axis=1), 1)
    reached = place < len(ends)
    after = np.minimum(place, len(ends) - 1)
    row = np.arange(len(curve))
    high, low = curve[row, after - 1], curve[row, after]
    share = (high - 0.5) / np.maximum(high - low, 1e-12)
    found = ends[after - 1] + share * (ends[after] - ends[after - 1])
    return np.where(reached, found, np.nan)


def concordance(risk: Floats, target: Floats) -> float:
    """How often, of two rows of which one is known to have had the event first, that one has the higher risk (Harrell
    et al., JAMA 247, 1982); equal risks count half, NaN where there is no such pair. Shape: (N,), (N,).
    """
    time, happened = followed(target)
    first = np.flatnonzero(happened)
    first = first[np.argsort(time[first], kind="stable")][:: max(1, -(-len(first) * len(time) // PAIRS))]
    later = (time > time[first, None]) | ((time == time[first, None]) & ~happened)
    higher = (risk[first, None] > risk) + 0.5 * (risk[first, None] == risk)
    pairs = int(later.sum())
    return float((higher * later).sum() / pairs) if pairs else float("nan")
