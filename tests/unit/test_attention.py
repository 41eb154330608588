"""Self-attention against the plain formula, and what masks, positions and tokens promise of a transformer."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from contracts.examples import Examples, Form, Inputs
from models.batches import Batch, laid_out
from models.families import transformer
from models.layers.attention import Block, SelfAttention, visible
from models.layers.positions import Positioning, Positions
from models.layers.tokens import ImageTokens, SequenceTokens, TableTokens, TextTokens
from models.network import Network
from tests.unit.problems import FORMS, SMALL, inputs, problem

KINDS = transformer.READS


def network(told: Inputs, **config: Any) -> Network:
    torch.manual_seed(0)
    return Network(transformer, told, transformer.Config(**SMALL["transformer"] | config)).eval()


def batch_of(examples: Examples, rows: list[int], reads: tuple[Any, ...] = KINDS) -> Batch:
    return laid_out(examples, inputs(reads, 2), reads).batch(torch.tensor(rows))


def test_attention_is_the_plain_formula() -> None:
    torch.manual_seed(0)
    layer, x, keep = SelfAttention(12, heads=3), torch.randn(4, 7, 12), torch.rand(4, 7) > 0.4
    mask = visible(keep, causal=True)
    query, key, value = (part.reshape(4, 7, 3, 4) for part in layer.project(x).chunk(3, dim=2))
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / 4**0.5
    weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=3)
    plain = layer.out(torch.einsum("bhqk,bkhd->bqhd", weights, value).reshape(4, 7, 12))
    torch.testing.assert_close(layer(x, mask), plain)


def test_what_is_not_kept_is_not_seen_and_nothing_is_a_nan() -> None:
    torch.manual_seed(0)
    block = Block(8, heads=2, feed_forward=16, dropout=0.5).eval()
    x, keep = torch.randn(2, 5, 8), torch.tensor([[True, True, False, True, False], [False] * 5])
    changed = torch.where(keep[..., None], x, torch.randn(2, 5, 8))
    before, after = block(x, visible(keep)), block(changed, visible(keep))
    torch.testing.assert_close(before[keep], after[keep])
    assert not torch.allclose(block(x)[keep], block(changed)[keep])
    assert before.isfinite().all()


@pytest.mark.parametrize("feed_forward", [0, 16])
def test_a_causal_mask_hides_what_comes_later(feed_forward: int) -> None:
    torch.manual_seed(0)
    block, x = Block(8, heads=2, feed_forward=feed_forward, dropout=0.0), torch.randn(3, 6, 8)
    later = torch.cat([x[:, :4], torch.randn(3, 2, 8)], dim=1)
    keep = torch.ones(3, 6, dtype=torch.bool)
    for causal in (True, False):
        mask = visible(keep, causal=causal)
        same = torch.allclose(block(x, mask)[:, :4], block(later, mask)[:, :4], atol=1e-6)
        assert same == causal


@pytest.mark.parametrize("recurrent", ["none", "gru", "lstm"])
@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(recurrent: str, causal: bool) -> None:
    """Each row alone, where the batch is as long as the row, and among longer ones."""
    examples, model = problem(KINDS, 2, 6, seed=1), network(inputs(KINDS, 2), recurrent=recurrent, causal=causal)
    together = model(batch_of(examples, list(range(6))))
    for row in range(6):
        torch.testing.assert_close(model(batch_of(examples, [row]))[0], together[row], rtol=0, atol=1e-5)


@pytest.mark.parametrize("recurrent", ["none", "gru"])
def test_a_row_without_payloads_is_told_by_the_others_and_finite(recurrent: str) -> None:
    reads = ("image", "sequence", "text")
    model = network(replace(inputs(reads, 2), columns=[]), recurrent=recurrent)
    batch = batch_of(problem(reads, 2, 3, seed=1), [0, 1, 2], reads)
    batch = {name: torch.zeros_like(t) if name.startswith(("length", "present")) else t for name, t in batch.items()}
    logits = model(batch)
    assert logits.isfinite().all()
    torch.testing.assert_close(logits, logits[:1].expand(3, -1))  # none of them has anything to be told apart by
    logits.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    "config",
    [{"recurrent": "gru"}, {"recurrent": "lstm"}, {"positions": "learnt"}, {"causal": True, "feed_forward": 0}],
)
def test_gradients_reach_every_parameter_of_every_variant(config: dict[str, Any]) -> None:
    model = network(inputs(KINDS, 2), **config).train()
    logits = model(batch_of(problem(KINDS, 2, 32, seed=1), list(range(32))))
    torch.nn.functional.cross_entropy(logits, torch.arange(32) % 2).backward()  # type: ignore[no-untyped-call]
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("positions", ["sinusoidal", "learnt", "none"])
def test_only_with_positions_is_an_order_learnt(positions: Positioning) -> None:
    """Both texts have the same two words, in another order."""
    told = Inputs(columns=[], classes=["ab", "ba"], positive=1, payloads={"text": FORMS["text"]})
    model = network(told, positions=positions)
    batch, target = {"text/text": torch.tensor([[2, 3], [3, 2]]), "length/text": torch.tensor([2, 2])}, torch.arange(2)
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(120):
        loss = torch.nn.functional.cross_entropy(model(batch), target)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        losses.append(loss.item())
    assert (min(losses) < 0.1) == (positions != "none")


def test_long_texts_keep_their_beginning_and_long_sequences_their_end() -> None:
    torch.manual_seed(0)
    words = torch.randint(2, 20, (2, 9))
    texts = TextTokens(FORMS["text"], width=8, longest=5, positions="learnt")
    whole, keep = texts(words, torch.tensor([9, 3]))
    torch.testing.assert_close(whole, texts(words[:, :5], torch.tensor([5, 3]))[0])
    assert keep.tolist() == [[True] * 5, [True] * 3 + [False] * 2]

    steps, length = torch.randn(2, 9, 3), torch.tensor([9, 3])
    sequences = SequenceTokens(FORMS["sequence"], width=8, longest=5, positions="learnt")
    whole, keep = sequences(steps, length)
    torch.testing.assert_close(whole[0], sequences(steps[:1, 4:], length[:1] - 4)[0][0])
    torch.testing.assert_close(whole[1, :3], sequences(steps[1:, :3], length[1:])[0][0])
    assert keep.tolist() == [[True] * 5, [True] * 3 + [False] * 2]


@pytest.mark.parametrize("size", [[12, 12], [7, 10], [3, 2]])
def test_patches_cover_an_image_of_any_size(size: list[int]) -> None:
    torch.manual_seed(0)
    form = Form(kind="image", channels=["grey"], size=size, centre=[0.0], spread=[1.0])
    patches = ImageTokens(form, width=8, patches=4, positions="learnt")
    pixels = torch.randn(2, 1, *size, requires_grad=True)
    tokens, keep = patches(pixels, torch.tensor([True, False]))
    tokens.square().sum().backward()
    assert pixels.grad is not None and (pixels.grad != 0).all()
    assert keep.all(dim=1).tolist() == [True, False] and keep.shape == tokens.shape[:2]
    assert tokens.shape[1] <= 16


def test_features_of_one_column_are_one_token() -> None:
    torch.manual_seed(0)
    table = TableTokens(["sex", "age", "sex", "age"], width=8)
    x = torch.randn(3, 4)
    sex, age = table(x).unbind(dim=1)
    torch.testing.assert_close(sex, table.columns[0] + x[:, [0, 2]] @ table.features[[0, 2]])
    torch.testing.assert_close(age, table.columns[1] + x[:, [1, 3]] @ table.features[[1, 3]])


def test_figures_of_payloads_are_not_read_beside_them() -> None:
    told = replace(inputs(KINDS, 2), figures=["c1", "c4"], sources=["a", "t", "a", "b", "t", "c"])
    model, batch = network(told), batch_of(problem(KINDS, 2, 4, seed=1), [0, 1, 2, 3])
    assert model.encoder.tokens.table.columns.shape[0] == 3
    for place in range(6):
        changed = batch | {"table": batch["table"] + torch.eye(6)[place]}
        assert torch.equal(model(batch), model(changed)) == (place in (1, 4))


def test_waves_tell_every_place_apart() -> None:
    places: Tensor = Positions("sinusoidal", most=512, width=9)(torch.zeros(1, 512, 9))[0]
    assert torch.cdist(places, places).fill_diagonal_(1).min() > 1e-3


@pytest.mark.parametrize("wrong", [{"width": 10, "heads": 4}, {"layers": 0}, {"dropout": 1.0}, {"feed_forward": -1}])
def test_unfitting_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"heads|layers|dropout"):
        transformer.Config(**wrong)
