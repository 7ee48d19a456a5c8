"""A tiny dialogue network with random contexts, and the same network once more in plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.models.text.attention import TransformerSizes
from kgcrs.models.text.dialogue import DialogueInputs, DialoguePlan, init_dialogue
from kgcrs.models.text.kg_decoder import ORDERS, GraphContext

V, D, M = 20, 6, 16
SIZES = TransformerSizes(width=M, hidden=12)
PLAN = DialoguePlan(V, D, SIZES)
SHALLOW = PLAN._replace(encoder_layers=1, decoder_layers=1)
PLANS = {
    "paper": PLAN,
    "official": PLAN._replace(order="official", copy_mode="logit_sum"),
    "plain": PLAN._replace(kg=False, copy=False),
    "copy only": PLAN._replace(kg=False, copy_mode="context"),
    "graphs only": PLAN._replace(copy=False),
}
REPLY = jnp.array([[1, 5, 6, 7, 2, 0], [1, 9, 2, 0, 0, 0], [1, 8, 8, 17, 8, 2], [1, 2, 0, 0, 0, 0]], jnp.int32)


def network(plan=PLAN):
    """Parameters without the zeros and ones that biases and gains start with; NumPy draws them without compiling."""
    shapes = jax.eval_shape(lambda: init_dialogue(jax.random.key(0), plan))
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        values = 0.3 * rng.normal(size=leaf.shape) + ("scale" in str(path[-1]))  # small gains would silence a layer
        return jnp.asarray(values, jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def inputs(plan=PLAN):
    """Four contexts: full, padded, without words and entities, and empty altogether."""
    rng = np.random.default_rng(0)
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    tokens = rng.integers(4, V, (4, 7)).astype(np.int32)
    tokens[1, 4:], tokens[2, 5:], tokens[3] = 0, 0, 0
    words = np.arange(5) < np.array([[5], [3], [0], [0]])
    entities = np.arange(4) < np.array([[4], [1], [0], [0]])
    graph = GraphContext(
        normal(4, 5, D), jnp.asarray(words), normal(4, 4, D), jnp.asarray(entities), normal(4, D), normal(4, D)
    )
    mask = jnp.arange(V) > 12
    if plan.copy_mode == "context":
        mask = mask & jnp.asarray(rng.random((4, V)) < 0.5)
    needs_graph = plan.kg or plan.copy
    return DialogueInputs(jnp.asarray(tokens), graph if needs_graph else None, mask if plan.copy else None)


def twin_log_probs(params, given, row, reply, plan):
    """log Pr of the token after each prefix, float64 [T, V]: one context, no padding, no masks, no batches."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    tokens = [int(t) for t in np.asarray(given.tokens[row]) if t]
    context = np.zeros((0, M))
    if tokens:
        context = _embed(p["tokens"], tokens)
        for layer in _layers(p["encoder"]):
            context = _norm(layer["attention_norm"], context + _attention(layer["attention"], context, context))
            context = _norm(layer["feed_forward_norm"], context + _feed_forward(layer["feed_forward"], context))
    memories = {"context": context}
    if plan.kg:
        for name, mask in (("words", given.graph.word_mask), ("entities", given.graph.entity_mask)):
            real = np.asarray(getattr(given.graph, name)[row], np.float64)[np.asarray(mask[row])]
            null = p["decoder"][name]["null"][None]
            memories[name] = np.concatenate([null, _linear(p["decoder"][name]["map"], real)])
    told = []
    for end in range(1, len(reply) + 1):  # every prefix is read anew, so that later tokens cannot matter
        x = _embed(p["tokens"], reply[:end])
        for layer in _layers(p["decoder"]):
            seen = np.concatenate([_attention(layer["self"], x[[t]], x[: t + 1]) for t in range(end)])
            x = _norm(layer["norms"]["self"], x + seen)
            for name in ORDERS[plan.order]:
                if name in memories:
                    x = _norm(layer["norms"][name], x + _attention(layer[name], x, memories[name]))
            x = _norm(layer["norms"]["feed_forward"], x + _feed_forward(layer["feed_forward"], x))
        h, copy = x[-1], None
        share = np.exp(p["tokens"] @ h)
        if plan.copy:
            head = p["copy"]
            vectors = [np.asarray(v[row], np.float64) for v in (given.graph.word_vec, given.graph.entity_vec)]
            both = np.concatenate([_linear(head["words"], vectors[0]), _linear(head["entities"], vectors[1]), h])
            maps = np.concatenate([head["pooled"], head["state"]["kernel"]])  # W_c in one piece
            copy = head["out"] @ (both @ maps + head["state"]["bias"]) + head["out_bias"]
            mask = np.broadcast_to(np.asarray(given.copy_mask), (4, V))[row]
            share = share * np.exp(mask * copy) if plan.copy_mode == "logit_sum" else share + mask * np.exp(copy)
        told.append(np.log(share / share.sum()))
    return np.stack(told)


def _layers(params):
    return [params[f"layer_{at}"] for at in range(2)]


def _linear(p, x):
    return x @ p["kernel"] + p["bias"]


def _norm(p, x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * p["scale"] + p["offset"]


def _embed(table, tokens):
    rows = []
    for position, token in enumerate(tokens):
        angle = [position / 10000 ** (2 * (j // 2) / M) for j in range(M)]
        rows.append(table[token] * M**0.5 + [np.cos(a) if j % 2 else np.sin(a) for j, a in enumerate(angle)])
    return np.stack(rows)


def _feed_forward(p, x):
    return _linear(p["out"], np.maximum(_linear(p["in"], x), 0))


def _attention(p, x, memory):
    if "query_key_value" in p:
        kernels, biases = np.split(p["query_key_value"]["kernel"], 3, 1), np.split(p["query_key_value"]["bias"], 3)
    else:
        kernels = [p["query"]["kernel"], *np.split(p["key_value"]["kernel"], 2, 1)]
        biases = [p["query"]["bias"], *np.split(p["key_value"]["bias"], 2)]
    query, key, value = (source @ w + b for source, w, b in zip((x, memory, memory), kernels, biases, strict=True))
    size = M // SIZES.heads
    out = np.zeros_like(x)
    for head in range(SIZES.heads):
        part = slice(head * size, (head + 1) * size)
        for row in range(len(x)):
            if len(memory):
                weight = np.exp(key[:, part] @ query[row, part] / np.sqrt(size))
                out[row, part] = weight / weight.sum() @ value[:, part]
    return _linear(p["out"], out)
