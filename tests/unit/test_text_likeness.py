"""Texts that are nearly the same, without comparing all with all."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.likeness import near_texts

TEMPLATE = (
    "The heart is normal in size . The mediastinum is unremarkable . The lungs are clear without focal "
    "consolidation , pleural effusion or pneumothorax . No acute bony abnormality ."
)


def shingles(text: str) -> set[tuple[str, ...]]:
    said = text.split()
    return {tuple(said[at : at + 3]) for at in range(len(said) - 2)}


def brute(texts: list[str], share: float) -> set[tuple[int, int]]:
    sets = [shingles(text) for text in texts]
    return {
        (i, j)
        for j in range(len(texts))
        for i in range(j)
        if len(sets[i] & sets[j]) >= share * len(sets[i] | sets[j]) and len(texts[i].split()) >= 20
    }


def varied(seed: int, count: int) -> list[str]:
    """Reports, and copies in which a few words were changed."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 400, 60)) for _ in range(count)]
    for text in list(texts):
        said = text.split()
        for at in rng.integers(0, 60, rng.integers(1, 5)):
            said[at] = f"v{rng.integers(400)}"
        texts.append(" ".join(said))
    return texts


def groups(texts: list[str], pairs: np.ndarray) -> set[frozenset[str]]:
    of = list(range(len(texts)))
    for first, second in pairs:
        of = [of[first] if group == of[second] else group for group in of]
    return {frozenset(texts[at] for at in range(len(texts)) if of[at] == group) for group in of}


def test_every_pair_that_overlaps_enough_is_found_and_no_other() -> None:
    texts = varied(0, 150)
    expected = brute(texts, 0.8)
    assert 20 < len(expected) < 150
    assert {tuple(pair) for pair in near_texts(texts).tolist()} == expected
    assert {tuple(pair) for pair in near_texts(texts, share=0.6).tolist()} == brute(texts, 0.6)


def test_case_punctuation_and_composition_do_not_count() -> None:
    texts = ["Lungs clear, größer.", "LUNGS  CLEAR gro\u0308ßer", "lungs not clear", "", " . ", ""]
    assert near_texts(texts).tolist() == [[0, 1]]


def test_short_texts_are_alike_only_when_equal() -> None:
    texts = ["no acute disease of the chest is seen on this", "no acute disease of the chest is seen on that"] * 2
    assert near_texts(texts).tolist() == [[0, 2], [1, 3]]


def test_other_clinical_content_does_not_join_reports() -> None:
    other = TEMPLATE.replace("The lungs are clear", "There is a large left upper lobe mass and the lungs are hazy")
    assert len(near_texts([TEMPLATE, other])) == 0


def test_thousands_of_equal_reports_come_as_a_chain() -> None:
    pairs = near_texts([TEMPLATE] * 5000 + [TEMPLATE + " Stable ."])
    assert len(pairs) == 5000
    assert (np.diff(np.sort(pairs[:, 1])) == 1).all()


def test_thousands_of_nearly_equal_reports_hang_together_without_comparing_all() -> None:
    texts = [f"{TEMPLATE} Read on workstation{at}" for at in range(3000)]
    pairs = near_texts(texts)
    assert len(pairs) < 30 * len(texts)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(3000, 3000))
    assert connected_components(links, directed=False)[0] == 1


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(0, 5))
def test_the_order_of_texts_does_not_matter(random: object, seed: int) -> None:
    texts = [*varied(seed, 8), "no disease", "No disease.", TEMPLATE, TEMPLATE.upper()]
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert groups(texts, near_texts(texts)) == groups(shuffled, near_texts(shuffled))


def test_few_or_no_texts() -> None:
    assert near_texts([]).shape == (0, 2)
    assert near_texts(["one"]).shape == (0, 2)
    assert near_texts([TEMPLATE, "another"]).shape == (0, 2)
