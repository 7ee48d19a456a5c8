"""The walk of KGPolicy on a small random graph, against its definition written out with dense matrices."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.graph.collaborative import build_graph
from kgcrs.graph.item_sets import build_item_sets
from kgcrs.models.encoders.sage import SageLayer, neighbour_sum
from kgcrs.models.policies.path import (
    PathPlan,
    PathPolicy,
    walk,
)
from kgcrs.models.policies.path_choice import attention_logits, choose, masked_log_softmax, prune, spread_members
from tests.kg_worlds import random_kg
from tests.worlds import quick_jit

DATA = random_kg()
TRAIN = DATA.pairs("train")
GRAPH = build_graph(DATA, TRAIN)
USER_ITEMS = build_item_sets(TRAIN, DATA.num_users)
N = GRAPH.num_nodes
PLAN = PathPlan(explorations=2, num_neighbours=6, num_kept=4, random_items=3)
H = jax.random.normal(jax.random.key(0), (N, 5))


def dense_neighbours():
    adjacency = np.zeros((N, N), bool)
    edges = np.asarray(GRAPH.neighbours.indptr)
    for node in range(N):
        adjacency[node, np.asarray(GRAPH.neighbours.items)[edges[node] : edges[node + 1]]] = True
    return adjacency


ADJACENCY = dense_neighbours()


def test_graph_learning_is_the_dense_formula():
    degree = np.maximum(ADJACENCY.sum(1), 1)
    matrix = ADJACENCY / np.sqrt(degree[:, None] * degree[None, :])
    h = np.asarray(H)
    np.testing.assert_allclose(neighbour_sum(GRAPH.symmetric, H), matrix @ h, atol=1e-5)
    layer = SageLayer(3)
    params = layer.init(jax.random.key(1), GRAPH.symmetric, H)
    itself, neighbour = (np.asarray(params["params"][name]["kernel"]) for name in ("itself", "neighbour"))
    # Eq. 9 as printed: one matrix on the concatenation.
    joined = np.concatenate([h, matrix @ h], 1) @ np.concatenate([itself, neighbour])
    want = np.where(joined > 0, joined, 0.01 * joined)
    np.testing.assert_allclose(layer.apply(params, GRAPH.symmetric, H), want, atol=1e-5)


def test_isolated_nodes_keep_finite_vectors_and_gradients():
    policy = PathPolicy(N, 4, 2)
    params = policy.init(jax.random.key(2), GRAPH)
    h, temperature = policy.apply(params, GRAPH)
    assert np.isfinite(h).all() and float(temperature) == pytest.approx(0.2)
    grads = jax.grad(lambda p: (policy.apply(p, GRAPH)[0] ** 2).sum())(params)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_attention_by_hand():
    # LeakyReLU((1, -2) * (3, 4)) = (3, -.08); times (2, 1) = 5.92.
    logits = attention_logits(jnp.array([2.0, 1.0]), jnp.array([1.0, -2.0]), jnp.array([[3.0, 4.0]]))
    assert float(logits[0]) == pytest.approx(5.92)


def test_probabilities_sum_to_one_and_follow_a_permutation():
    logits = jax.random.normal(jax.random.key(3), (9,))
    mask = jnp.array([1, 1, 0, 1, 1, 1, 0, 1, 1], bool)
    log_p = masked_log_softmax(logits, mask)
    assert float(jnp.where(mask, jnp.exp(log_p), 0).sum()) == pytest.approx(1)
    assert float(jnp.exp(log_p)[~mask].max()) == 0
    order = jax.random.permutation(jax.random.key(4), 9)
    np.testing.assert_allclose(masked_log_softmax(logits[order], mask[order]), log_p[order], rtol=1e-6)


def test_members_are_different_and_complete_where_they_fit():
    degree = ADJACENCY.sum(1)
    for node in range(N):
        for seed in range(3):
            found, real = spread_members(jax.random.key(seed), GRAPH.neighbours, jnp.int32(node), 4)
            kept = np.asarray(found)[np.asarray(real)]
            assert len(set(kept)) == len(kept) == min(4, degree[node]) and ADJACENCY[node, kept].all()


def test_every_member_of_a_long_row_is_equally_likely():
    node = int(ADJACENCY.sum(1).argmax())
    degree = int(ADJACENCY[node].sum())
    keys = jax.random.split(jax.random.key(5), 6000)
    found, real = jax.vmap(lambda k: spread_members(k, GRAPH.neighbours, jnp.int32(node), 5))(keys)
    counts = np.bincount(np.asarray(found)[np.asarray(real)], minlength=N)[ADJACENCY[node]] / 6000
    assert degree > 5 and np.abs(counts - 5 / degree).max() < 5 * np.sqrt(0.25 / 6000)


def test_pruning_keeps_the_highest_scores():
    candidates = jax.random.permutation(jax.random.key(6), N)[:9]
    mask = jnp.arange(9) != 2
    kept, real = prune(H, jnp.int32(1), candidates, mask, 4)
    closeness = np.where(mask, np.asarray(H[candidates] @ H[1]), -np.inf)
    assert set(np.asarray(kept)) == set(np.asarray(candidates)[np.argsort(-closeness)[:4]]) and real.all()
    same, everything = prune(H, jnp.int32(1), candidates, mask, 9)
    assert set(np.asarray(same)) == set(np.asarray(candidates)) and int(everything.sum()) == 8
    few, some = prune(H, jnp.int32(1), candidates, jnp.arange(9) < 2, 4)
    assert int(some.sum()) == 2 and set(np.asarray(few)[np.asarray(some)]) == set(np.asarray(candidates)[:2])


def test_no_gradient_flows_through_pruning():
    def kept_closeness(h):
        candidates = jnp.arange(9)
        kept, _ = prune(h, jnp.int32(1), candidates, candidates >= 0, 4)
        return kept.astype(jnp.float32).sum()

    assert float(jnp.abs(jax.grad(kept_closeness)(H)).max()) == 0


def test_choices_follow_the_stated_probabilities():
    candidates, mask = jnp.array([3, 8, 11, 20]), jnp.array([True, True, False, True])
    keys = jax.random.split(jax.random.key(7), 20000)
    take = lambda k: choose(k, H, jnp.float32(0.7), jnp.int32(2), jnp.int32(30), candidates, mask, PLAN.selection)  # noqa: E731
    picks, log_p, entropy = jax.vmap(take)(keys)
    h = np.asarray(H)
    product = h[30] * h[np.asarray(candidates)]
    logits = np.where(product > 0, product, 0.01 * product) @ h[2] / 0.7
    want = np.exp(logits) * np.asarray(mask)
    want /= want.sum()
    share = np.bincount(np.asarray(picks), minlength=4) / 20000
    assert (np.abs(share - want) < 5 * np.sqrt(want * (1 - want) / 20000) + 1e-9).all()
    np.testing.assert_allclose(np.exp(np.asarray(log_p[0])), want, rtol=1e-4, atol=1e-9)
    real = want[want > 0]
    assert float(entropy[0]) == pytest.approx(-(real * np.log(real)).sum(), rel=1e-4)


@partial(jax.jit, static_argnames="plan")
def many_walks(key, user, item, plan=PLAN):
    keys = jax.random.split(key, user.shape[0])
    one = lambda k, u, i: walk(k, H, jnp.float32(0.5), u, i, GRAPH, USER_ITEMS, plan)  # noqa: E731
    return jax.vmap(one)(keys, user, item)


@pytest.mark.parametrize("explorations", [1, 2, 4])
def test_walks_keep_to_the_graph_and_off_the_training_items(explorations):
    rows = np.resize(np.arange(len(TRAIN)), 600)
    user, item = jnp.array(TRAIN[rows, 0]), jnp.array(TRAIN[rows, 1])
    got = many_walks(jax.random.key(8), user, item, PLAN._replace(explorations=explorations))
    node, end = np.asarray(got.node), np.asarray(got.item)
    train = {tuple(pair) for pair in TRAIN.tolist()}
    on_graph = 0
    for b in range(600):
        at, visited = int(item[b]), [int(item[b])]
        for t in range(explorations):
            at_node = DATA.num_users + at
            assert ADJACENCY[at_node, node[b, t]] or (not ADJACENCY[at_node].any() and node[b, t] == at_node)
            assert (int(user[b]), int(end[b, t])) not in train and int(end[b, t]) not in visited
            on_graph += ADJACENCY[node[b, t], DATA.num_users + end[b, t]]  # the rest are declared random items
            at = int(end[b, t])
            visited.append(at)
    assert on_graph > 0.3 * 600 * explorations
    assert (got.odds.log_prob <= 0).all() and np.isfinite(got.odds.log_prob).all()


def test_the_stated_probabilities_are_those_of_the_pool():
    user, item = jnp.array(TRAIN[:50, 0]), jnp.array(TRAIN[:50, 1])
    got = many_walks(jax.random.key(10), user, item)
    odds, last = got.odds, got.choices[1]
    some = np.asarray(last.mask).any(-1)  # elsewhere a spare item stood in
    assert some.mean() > 0.5
    np.testing.assert_allclose(np.exp(np.asarray(odds.end_log_prob)).sum(-1), some, rtol=1e-4)
    chosen = np.take_along_axis(np.asarray(odds.end_log_prob), np.asarray(last.pick)[..., None], -1)[..., 0]
    want = np.asarray(odds.node_log_prob) + np.where(some, chosen, 0)
    np.testing.assert_allclose(odds.log_prob, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pool", ["two_hop", "uniform"])
def test_the_best_paid_item_of_the_last_pool_is_taken(pool):
    plan = PLAN._replace(final_pick="best", pool=pool)
    pay = jax.random.normal(jax.random.key(11), (DATA.num_items,))
    user, item = jnp.array(TRAIN[:50, 0]), jnp.array(TRAIN[:50, 1])
    one = lambda k, u, i: walk(k, H, jnp.float32(0.5), u, i, GRAPH, USER_ITEMS, plan, lambda j: pay[j])  # noqa: E731
    got = quick_jit(jax.vmap(one))(jax.random.split(jax.random.key(12), 50), user, item)
    mask, paid = np.asarray(got.choices[1].mask[:, -1]), np.asarray(pay)
    ends = np.maximum(np.asarray(got.choices[1].candidates[:, -1]) - DATA.num_users, 0)
    best, some = np.where(mask, paid[ends], -9).max(1), mask.any(1)
    assert some.mean() > 0.5 and (best == paid[np.asarray(got.item[:, -1])])[some].all()
    # The pick is no choice of the policy.
    np.testing.assert_array_equal(got.odds.log_prob[:, -1], got.odds.node_log_prob[:, -1])


def test_a_uniform_pool_holds_any_item():
    user, item = jnp.full(2000, TRAIN[0, 0]), jnp.full(2000, TRAIN[0, 1])
    got = many_walks(jax.random.key(13), user, item, PLAN._replace(pool="uniform"))
    ends = np.unique(got.choices[1].candidates)
    assert len(ends) == DATA.num_items - (TRAIN[:, 0] == TRAIN[0, 0]).sum() + 1  # -1 marks gaps


def test_walks_are_the_same_alone_and_in_a_batch():
    user, item = jnp.array(TRAIN[:5, 0]), jnp.array(TRAIN[:5, 1])
    keys = jax.random.split(jax.random.key(9), 5)
    one = lambda k, u, i: walk(k, H, jnp.float32(0.5), u, i, GRAPH, USER_ITEMS, PLAN)  # noqa: E731
    batch = quick_jit(jax.vmap(one))(keys, user, item)
    for b in range(5):
        alone = one(keys[b], user[b], item[b])
        jax.tree.map(lambda one, all_: np.testing.assert_allclose(one, all_[b], rtol=1e-4, atol=1e-5), alone, batch)  # noqa: B023


def test_ties_keep_their_order_and_the_mask():
    """Equal scores: the first candidates stay, and a masked one only when real ones run out."""
    same = jnp.ones((N, 3))
    candidates = jnp.array([7, 3, 9, 1, 5])
    kept, real = prune(same, jnp.int32(2), candidates, jnp.array([True, False, True, True, True]), 3)
    assert kept.tolist() == [7, 9, 1] and real.all()
    kept, real = prune(same, jnp.int32(2), candidates, jnp.array([False, True, False, False, True]), 3)
    assert kept.tolist()[:2] == [3, 5] and real.tolist() == [True, True, False]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_log_probability_of_a_walk_is_that_of_the_dense_definition(seed):
    """Eq. 11-15 written out on a graph of 20 nodes: no pruning, no random items, so every candidate set is known."""
    data = random_kg(seed, users=6, items=8, entities=14, pairs=22, triples=20)
    train = data.pairs("train")
    graph, sets = build_graph(data, train), build_item_sets(train, data.num_users)
    size, users = graph.num_nodes, data.num_users
    assert size == 20
    edges = np.asarray(graph.neighbours.indptr)
    around = [set(np.asarray(graph.neighbours.items)[edges[n] : edges[n + 1]].tolist()) for n in range(size)]
    h = np.asarray(jax.random.normal(jax.random.key(seed), (size, 4)), np.float64)
    plan = PathPlan(explorations=2, num_neighbours=size, num_kept=2 * size, random_items=0)

    def log_softmax(user, at, among, taken):
        product = h[at] * h[among]
        logits = np.where(product > 0, product, 0.01 * product) @ h[user] / 0.5
        return logits[among.index(taken)] - np.log(np.exp(logits).sum())

    rows = np.resize(np.arange(len(train)), 120)
    run = quick_jit(
        jax.vmap(lambda k, u, i: walk(k, jnp.float32(h), jnp.float32(0.5), u, i, graph, sets, plan)),
    )
    got = run(jax.random.split(jax.random.key(9), 120), jnp.array(train[rows, 0]), jnp.array(train[rows, 1]))
    checked = 0
    for b, (user, item) in enumerate(train[rows].tolist()):
        taken = set(train[train[:, 0] == user, 1].tolist())
        visited, at = {item}, item
        for t in range(2):
            node, end = int(got.node[b, t]), int(got.item[b, t])
            nodes = sorted(around[users + at]) or [users + at]
            want = log_softmax(user, users + at, nodes, node)
            items = {n - users for n in around[node] if users <= n < users + data.num_items} - taken - visited
            if items:
                among = [users + i for i in sorted(items)]
                want += log_softmax(user, node, among, users + end)
                checked += 1
            assert float(got.odds.log_prob[b, t]) == pytest.approx(want, abs=1e-4)
            visited.add(end)
            at = end
    assert checked > 60


def test_an_item_without_neighbours_leads_to_random_admissible_items():
    """Empty neighbourhoods: the first hop stays, the second has random items only, and numbers stay finite."""
    graph, last = build_graph(DATA, TRAIN, "cf"), DATA.num_items - 1  # nobody has the last item
    assert int(graph.neighbours.sizes()[DATA.num_users + last]) == 0
    user = jnp.int32(DATA.num_users - 1)  # nor has she any
    one = lambda k: walk(k, H, jnp.float32(0.5), user, jnp.int32(last), graph, USER_ITEMS, PLAN)  # noqa: E731
    got = quick_jit(jax.vmap(one))(jax.random.split(jax.random.key(10), 200))
    assert (got.node[:, 0] == DATA.num_users + last).all()
    assert len(set(np.asarray(got.item)[:, 0].tolist())) > 15
    assert (np.asarray(got.item) != last).all()  # never back to where it began
    assert np.isfinite(got.odds.log_prob).all() and np.isfinite(got.odds.entropy).all()


def test_a_user_who_took_every_item_is_walked_for_nonetheless():
    everything = np.array([[0, i] for i in range(DATA.num_items)])
    sets = build_item_sets(everything, DATA.num_users)
    keys = jax.random.split(jax.random.key(11), 40)
    one = lambda k, i: walk(k, H, jnp.float32(0.5), jnp.int32(0), i, GRAPH, sets, PLAN)  # noqa: E731
    got = quick_jit(jax.vmap(one))(keys, jnp.arange(40) % DATA.num_items)
    assert ((got.item >= 0) & (got.item < DATA.num_items)).all()
    assert np.isfinite(got.odds.log_prob).all() and np.isfinite(got.odds.entropy).all()


def test_relabelled_nodes_get_the_same_vectors():
    """Permuting users, items and entities among themselves permutes the vectors of graph learning, nothing else."""
    rng = np.random.default_rng(3)
    user = rng.permutation(DATA.num_users)
    others = rng.permutation(np.arange(DATA.num_items, DATA.num_entities))
    entity = np.concatenate([rng.permutation(DATA.num_items), others])
    node = np.concatenate([user, DATA.num_users + entity])
    facts = DATA.triples.copy()
    facts[:, [0, 2]] = entity[facts[:, [0, 2]]]
    moved = np.stack([user[TRAIN[:, 0]], entity[TRAIN[:, 1]]], 1)
    renamed = build_graph(replace(DATA, triples=facts), moved)
    policy = PathPolicy(N, 4, 2)
    params = policy.init(jax.random.key(12), GRAPH)
    h, _ = policy.apply(params, GRAPH)
    table = jnp.zeros_like(params["params"]["node"]).at[node].set(params["params"]["node"])
    got, _ = policy.apply({"params": params["params"] | {"node": table}}, renamed)
    np.testing.assert_allclose(got[node], h, rtol=1e-4, atol=1e-6)
    assert not np.allclose(got, h, atol=1e-3)
