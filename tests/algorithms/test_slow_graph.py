"""Graph learning every k batches: exact at k = 1, and at k > 1 one step on the mean slope of k batches."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.fit_bpr import BprHyper, fit_epoch, fit_step, init_bpr
from kgcrs.algorithms.kg_policy import PolicyHyper, draw_walks, kg_policy_sampler, walk_batch
from kgcrs.algorithms.ranking_world import make_sampler
from kgcrs.algorithms.slow_graph import slow_graph_sampler
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import SamplerConfig
from kgcrs.core.trees import tree_hash
from kgcrs.losses.policy_gradient import walk_objective
from kgcrs.models.policies.path import PathPlan, PathPolicy
from kgcrs.models.policies.path_slope import retell, walk_nodes, walk_slope
from tests.algorithms.test_kg_policy import BPR, DATA, GRAPH, MF, SAMPLING, SMALL, STEP
from tests.worlds import quick_jit

HYPER = PolicyHyper(lr=0.01, entropy_bonus=0.1)
USER, ITEM = BPR.user[:16], BPR.item[:16]


def close(one, other, rtol=2e-4, atol=2e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), one, other)


@pytest.mark.parametrize(
    "path",
    [
        SMALL.path,
        pytest.param(PathPlan(1, 3, 30, 2, 2), marks=pytest.mark.long),
        SMALL.path._replace(selection="uniform"),
    ],
)
def test_a_walk_is_retold_as_it_was_drawn(path):
    plan = SMALL._replace(path=path)
    params = PathPolicy(GRAPH.num_nodes, 6).init(jax.random.key(0), GRAPH)
    h, temperature = PathPolicy(GRAPH.num_nodes, 6).apply(params, GRAPH)
    taken = walk_batch(h, temperature, jax.random.key(1), USER, ITEM, SAMPLING, plan)
    vectors = jax.tree.map(lambda node: h[node], jax.vmap(walk_nodes)(USER, taken))
    told = jax.vmap(lambda v, t: retell(v, temperature, t, path.selection))(vectors, taken)
    close(told, taken.odds)


def test_every_batch_is_the_sampler_as_published():
    ends = []
    for sampler in (kg_policy_sampler(MF, GRAPH, HYPER, SMALL), slow_graph_sampler(MF, GRAPH, HYPER, SMALL, 1)):
        run = quick_jit(partial(fit_epoch, recommender=MF, sampler=sampler, plan=STEP, num_users=DATA.num_users))
        state, metrics = run(BprHyper(0.01, 1e-4), init_bpr(jax.random.key(2), MF, sampler, STEP), BPR)
        ends.append((state.params, getattr(state.sampler, "policy", state.sampler).params, metrics))
    close(*ends, rtol=1e-3, atol=1e-4)


def test_the_policy_waits_and_then_steps_on_the_mean_of_its_batches():
    sampler = slow_graph_sampler(MF, GRAPH, HYPER, SMALL, 3)
    state = init_bpr(jax.random.key(3), MF, sampler, STEP)
    step = quick_jit(partial(fit_step, recommender=MF, sampler=sampler, plan=STEP, num_users=DATA.num_users))
    first, seen = state.sampler, []
    for batch in range(3):
        assert tree_hash(state.sampler.policy.params) == tree_hash(first.policy.params)
        seen.append(state.sampler)
        state, _ = step(BprHyper(0.1, 0.0), state, jax.random.key(batch), BPR)
    last = state.sampler
    assert tree_hash(last.policy.params) != tree_hash(first.policy.params) and int(last.policy.steps) == 3
    assert all(not np.any(leaf) for leaf in jax.tree.leaves((seen[0].pending, last.pending)))
    assert np.abs(seen[2].pending[0]).sum() > 0
    close(last.learned, PathPolicy(GRAPH.num_nodes, 6).apply(last.policy.params, GRAPH))


def test_slopes_of_batches_add_up_to_their_gradient():
    """Two batches, pulled back once, against differentiating both walks from scratch."""
    policy = PathPolicy(GRAPH.num_nodes, 6)
    params = policy.init(jax.random.key(4), GRAPH)
    learned, pull_back = jax.vjp(lambda p: policy.apply(p, GRAPH), params)

    @quick_jit
    def one(pending, key, advantage):
        taken = walk_batch(*learned, key, USER, ITEM, SAMPLING, SMALL)
        objective = lambda odds: walk_objective(odds.log_prob, odds.entropy, advantage, 0.1)  # noqa: E731
        from_scratch = lambda p: objective(draw_walks(p, key, USER, ITEM, SAMPLING, SMALL).odds)  # noqa: E731
        return walk_slope(pending, learned, USER, taken, objective, "sample"), jax.grad(from_scratch)(params)

    pending, want = jax.tree.map(jnp.zeros_like, learned), []
    for batch in range(2):
        advantage = jax.random.normal(jax.random.key(7 + batch), (16, 2))
        pending, slope = one(pending, jax.random.key(5 + batch), advantage)
        want.append(slope)
    close(pull_back(pending)[0], jax.tree.map(jnp.add, *want))


def test_a_frozen_policy_keeps_its_vectors():
    sampler = slow_graph_sampler(MF, GRAPH, HYPER, SMALL._replace(learns=False), 2)
    state = init_bpr(jax.random.key(6), MF, sampler, STEP)
    run = quick_jit(partial(fit_epoch, recommender=MF, sampler=sampler, plan=STEP, num_users=DATA.num_users))
    after, metrics = run(BprHyper(0.1, 0.0), state, BPR)
    assert tree_hash(after.sampler) == tree_hash(state.sampler) and "reward" in metrics


def test_the_setting_chooses_it():
    state = lambda every: make_sampler(  # noqa: E731
        SamplerConfig(num_neighbours=4, num_kept=3, gnn_every=every), MF, GRAPH, 4
    ).init(jax.random.key(0))
    assert not hasattr(state(1), "pending") and hasattr(state(4), "pending")
    with pytest.raises(KgcrsError, match="sampler.gnn_every"):
        SamplerConfig(gnn_every=0).validate()
