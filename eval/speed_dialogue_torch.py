"""KGSF in PyTorch, as the twin of `eval.speed_dialogue`: the same numbers from the same parameters. Needs the extra
`bench`.

Written as one writes it there: look-ups by `embedding`, sums by `index_add`, fused projections, the library's own
attention kernel, scores of real tokens only, a fused Adam.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import torch
from torch.nn import functional

from kgcrs.data.vocab import PAD
from kgcrs.graph.segment import SparseGraph
from kgcrs.models.text.attention import TransformerSizes, sinusoid

Tree = dict[str, Any]


def tensors(tree: Any, *, trained: bool = False) -> Any:
    """Copies a tree of arrays; integers become int64, which look-ups want."""

    def one(leaf: Any) -> Any:
        array = np.array(leaf)
        made = torch.from_numpy(array.astype(np.int64) if array.dtype.kind == "i" else array)
        return made.requires_grad_() if trained else made

    return jax.tree.map(one, tree)


class Trained:
    """Parameters and their optimiser, clipped as ours is."""

    def __init__(self, params: Any, lr: float, clip: float) -> None:
        """Copies the parameters."""
        self.params = tensors(params, trained=True)
        self.leaves, self.clip = jax.tree.leaves(self.params), clip
        self.optimizer = torch.optim.Adam(self.leaves, lr=lr, fused=True)

    def step(self, loss: Any) -> float:
        """One step down a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([leaf for leaf in self.leaves if leaf.grad is not None], self.clip)
        self.optimizer.step()
        return float(loss.detach())


def pooled(params: Tree, table: Any, ids: Any) -> Any:
    """Attention pooling of rows of a table: ids int64 [B, T], -1 pads -> float32 [B, d]."""
    rows, mask = functional.embedding(ids.clamp(min=0), table), ids >= 0
    logits = torch.tanh(rows @ params["hidden"]) @ params["score"]
    weights = torch.softmax(logits.masked_fill(~mask, -1e30), -1) * mask
    return (weights.unsqueeze(-1) * rows).sum(1)


def rgcn(params: Tree, edges: Any) -> Any:
    """Sums a message per edge, int64 [E, 3] of (source, relation, destination), basis by basis."""
    source, relation, destination = edges.T
    message = torch.zeros(len(edges), params["root"].shape[1])
    for basis, table in enumerate(params["basis"].unbind()):
        weight = params["coefficient"][:, basis][relation]
        message = message + weight.unsqueeze(-1) * functional.embedding(source, table)
    return torch.zeros_like(params["root"]).index_add(0, destination, message) + params["root"] + params["bias"]


def recommender_loss(
    params: Tree, edges: Any, words: Any, samples: tuple[Any, Any, Any], num_items: int, mim_weight: float
) -> Any:
    """Cross-entropy of the items and infomax, for preset kgsf_fixed.

    Args:
      edges: of `rgcn`. words: normalised word graph, sparse. samples: entities, words and targets of B contexts.
    """
    entity_ids, word_ids, target = samples
    entity = rgcn(params["entities"], edges)
    encoder = params["words"]
    word = torch.sparse.mm(words, encoder["node"] @ encoder["weight"]) + encoder["bias"]
    said, named = pooled(params["word_pool"], word, word_ids), pooled(params["entity_pool"], entity, entity_ids)
    gate = params["gate"]
    share = torch.sigmoid(torch.cat([said, named], 1) @ gate["weight"] + gate["bias"]).reshape(-1, 1)
    user = share * said + (1 - share) * named
    items = functional.cross_entropy(user @ entity[:num_items].T + params["bias"], target)
    head = params["infomax"]
    scores = (said @ head["transform"] + head["shift"]) @ entity.T + head["bias"]
    wanted = torch.zeros(len(scores), scores.shape[1] + 1)
    wanted.scatter_(1, torch.where(entity_ids >= 0, entity_ids, scores.shape[1]), 1.0)
    some = (entity_ids >= 0).any(1)
    infomax = (((scores - wanted[:, :-1]) ** 2).sum(1) * some).sum() / some.sum().clamp(min=1)
    return items + mim_weight * infomax


def reply_loss(params: Tree, batch: Tree, sizes: TransformerSizes) -> Any:
    """Mean nats per token of KGSF's dialogue network with shared normaliser and dropout, for order "paper".

    Args:
      batch: tokens int64 [B, S]; reply int64 [B, T]; words, entities float32 [B, n, d] with word_mask, entity_mask;
        word_vec, entity_vec float32 [B, d]; copy_mask bool [V].
    """
    table, decoder = params["tokens"], params["decoder"]
    mask = batch["tokens"] != PAD
    x = _embedded(table, batch["tokens"], sizes) * mask.unsqueeze(-1)
    for name in sorted(params["encoder"]):
        layer = params["encoder"][name]
        fused = _linear(layer["attention"]["query_key_value"], x).chunk(3, -1)
        x = _added(layer["attention_norm"], x, _attend(layer["attention"], fused, mask[:, None, None], sizes), sizes)
        x = _added(layer["feed_forward_norm"], x, _feed_forward(layer["feed_forward"], x, sizes), sizes)
        x = x * mask.unsqueeze(-1)
    memories = {"context": (x, mask)}
    for name, rows, real in (("words", "words", "word_mask"), ("entities", "entities", "entity_mask")):
        mapped = _linear(decoder[name]["map"], batch[rows])
        null = decoder[name]["null"].expand(len(mapped), 1, -1)
        memories[name] = (torch.cat([null, mapped], 1), functional.pad(batch[real], (1, 0), value=True))
    said, target = batch["reply"][:, :-1], batch["reply"][:, 1:]
    h = _embedded(table, said, sizes)
    for name in sorted(name for name in decoder if name.startswith("layer_")):
        layer = decoder[name]
        fused = _linear(layer["self"]["query_key_value"], h).chunk(3, -1)
        h = _added(layer["norms"]["self"], h, _attend(layer["self"], fused, None, sizes), sizes)
        for part in ("words", "entities", "context"):
            states, real = memories[part]
            keys = _linear(layer[part]["key_value"], states).chunk(2, -1)
            read = _attend(layer[part], (_linear(layer[part]["query"], h), *keys), real[:, None, None], sizes)
            h = _added(layer["norms"][part], h, read, sizes)
        h = _added(layer["norms"]["feed_forward"], h, _feed_forward(layer["feed_forward"], h, sizes), sizes)
    copy = params["copy"]
    both = torch.cat([_linear(copy["words"], batch["word_vec"]), _linear(copy["entities"], batch["entity_vec"])], -1)
    c = _linear(copy["state"], h) + (both @ copy["pooled"]).unsqueeze(1)
    real = target != PAD
    generate = h[real] @ table.T
    copied = (c[real] @ copy["out"].T + copy["out_bias"]).masked_fill(~batch["copy_mask"], -1e30)
    return functional.cross_entropy(torch.logaddexp(generate, copied), target[real])


def _linear(params: Tree, x: Any) -> Any:
    return x @ params["kernel"] + params["bias"]


def _embedded(table: Any, ids: Any, sizes: TransformerSizes) -> Any:
    places = torch.from_numpy(sinusoid(ids.shape[1], sizes.width))
    return functional.dropout(functional.embedding(ids, table) * sizes.width**0.5 + places, sizes.dropout)


def _added(norm: Tree, x: Any, change: Any, sizes: TransformerSizes) -> Any:
    summed = x + functional.dropout(change, sizes.dropout)
    return functional.layer_norm(summed, x.shape[-1:], norm["scale"], norm["offset"])


def _feed_forward(params: Tree, x: Any, sizes: TransformerSizes) -> Any:
    return _linear(params["out"], functional.dropout(torch.relu(_linear(params["in"], x)), sizes.relu_dropout))


def _attend(params: Tree, fused: tuple[Any, ...], mask: Any, sizes: TransformerSizes) -> Any:
    """mask: bool, broadcastable to [B, H, Q, S]; None for a causal one."""
    heads = [x.unflatten(-1, (sizes.heads, -1)).transpose(1, 2) for x in fused]
    read = functional.scaled_dot_product_attention(*heads, attn_mask=mask, is_causal=mask is None)
    return _linear(params["out"], read.transpose(1, 2).flatten(2))


def sparse(graph: SparseGraph) -> Any:
    """A graph as a sparse matrix."""
    csr = graph.forward
    rows = np.repeat(np.arange(len(csr.indptr) - 1), np.diff(np.asarray(csr.indptr)))
    places = torch.from_numpy(np.stack([rows, np.asarray(csr.cols)]).astype(np.int64))
    return torch.sparse_coo_tensor(places, torch.from_numpy(np.array(csr.data)), check_invariants=False).coalesce()
