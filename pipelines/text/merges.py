"""Byte-pair encoding on characters: which neighbours to join, and words taken apart by it (Sennrich et al. 2016)."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

Pair = tuple[str, str]

END = " "  # ends every word; no word holds one


def learnt(frequency: Mapping[str, int], *, most: int) -> list[Pair]:
    """The pairs to join, in order: each time the most frequent in `frequency` (words), ties by text.

    Counts are kept up to date word by word, so the time grows with the words that a merge touches, not with all.
    """
    words = {word: spelled(word) for word in sorted(frequency)}
    counts, used = Counter[Pair](), defaultdict[Pair, set[str]](set)
    for word, symbols in words.items():
        for pair in pairwise(symbols):
            counts[pair] += frequency[word]
            used[pair].add(word)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < most:
        count, pair = heapq.heappop(heap)
        if -count != counts[pair]:  # an entry from before another merge
            continue
        merges.append(pair)
        changed = Counter[Pair]()
        for word in used.pop(pair):
            _rejoin(word, pair, words, changed, used, frequency[word])
        for other, change in changed.items():
            if change:
                counts[other] += change
                if counts[other] > 0:
                    heapq.heappush(heap, (-counts[other], other))
    return merges


def merged(word: str, ranks: Mapping[Pair, int]) -> list[str]:
    """The symbols of a word after joining its pairs in the order in which they were learnt."""
    symbols = spelled(word)
    while len(symbols) > 1:
        pair = min(pairwise(symbols), key=lambda pair: ranks.get(pair, len(ranks)))
        if pair not in ranks:
            break
        symbols = joined(symbols, pair)
    return symbols


def spelled(word: str) -> list[str]:
    """The characters of a word and the sign of its end."""
    return [*word, END]


def joined(symbols: list[str], pair: Pair) -> list[str]:
    """The symbols with each such pair of neighbours as one, from the left."""
    out: list[str] = []
    at = 0
    while at < len(symbols):
        both = at + 1 < len(symbols) and (symbols[at], symbols[at + 1]) == pair
        out.append(pair[0] + pair[1] if both else symbols[at])
        at += 2 if both else 1
    return out


def _rejoin(
    word: str,
    pair: Pair,
    words: dict[str, list[str]],
    changed: Counter[Pair],
    used: defaultdict[Pair, set[str]],
    weight: int,
) -> None:
    """Joins the pair in one word, and notes which pairs its joining takes away and brings."""
    before, after = words[word], joined(words[word], pair)
    if len(after) == len(before):  # another merge has taken the pair away
        return
    for old in pairwise(before):
        changed[old] -= weight
    for new in pairwise(after):
        changed[new] += weight
        used[new].add(word)
    words[word] = after
