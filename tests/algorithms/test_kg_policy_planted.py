"""The policy on a graph with planted hard items: it finds them, and a shuffled reward takes that away.

The recommender is an oracle that never moves: a user's vector scores 1 for the other side of her genre (the hard
factual negatives, which share the genre's entity with what she takes) and 0 for everything else.
"""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.fit_bpr import BprHyper, BprPlan, fit_epoch, init_bpr
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.kg_policy import PolicyHyper, PolicyPlan, kg_policy_sampler
from kgcrs.algorithms.ranking_world import build_ranking_world
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data.synthetic_kg import planted_kg
from kgcrs.models.policies.path import PathPlan
from kgcrs.models.recommenders.mf import mf
from tests.worlds import quick_jit

COMPILES_CHEAPLY = True

PLANTED = planted_kg(num_users=24, num_items=60, num_genres=2, per_user=7)
DATA = PLANTED.data
WORLD = build_ranking_world(DATA, KgPolicyConfig())
MF = mf(DATA.num_users, DATA.num_items, 4)
STEP = BprPlan(batch_size=48)
POLICY = PolicyPlan(PathPlan(explorations=2, num_neighbours=24, num_kept=24, random_items=4), dim=8)
EPOCHS = 250


def oracle():
    one_hot = np.eye(4, dtype=np.float32)
    user = one_hot[2 * PLANTED.user_genre + 1 - PLANTED.user_side]
    return {"user": jnp.asarray(user), "item": jnp.asarray(one_hot[2 * PLANTED.item_genre + PLANTED.item_side])}


@lru_cache
def trained(kind):
    """(sampler, its state after training, mean metrics of the last ten epochs)."""
    if kind == "rns":
        sampler = hard_negative_sampler("RNS", MF, HardNegatives())
    else:
        hyper = PolicyHyper(lr=0.005, similarity=0.0, entropy_bonus=0.05, baseline_decay=0.9)
        sampler = kg_policy_sampler(MF, WORLD.graph, hyper, POLICY._replace(shuffle=kind == "shuffled"))
    epoch = partial(fit_epoch, recommender=MF, sampler=sampler, plan=STEP, num_users=DATA.num_users)
    still = BprHyper(0.0, 0.0)
    run = quick_jit(lambda start, data: jax.lax.scan(lambda s, _: epoch(still, s, data), start, None, length=EPOCHS))
    state, told = run(init_bpr(jax.random.key(0), MF, sampler, STEP, oracle()), WORLD.bpr)
    last = {name: float(values[-10:].mean()) for name, values in told.items()}
    return sampler, state.sampler, last


def mass_on_hard(kind):
    """Share of negatives that are planted hard items, for every training pair ten times."""
    sampler, state, _ = trained(kind)
    user, item = jnp.tile(WORLD.bpr.user, 10), jnp.tile(WORLD.bpr.item, 10)
    tables = MF.tables(oracle(), None)
    draw = quick_jit(lambda key, s: sampler.draw(key, s, tables, user, item, WORLD.bpr.sampler)[0])
    negative = np.asarray(draw(jax.random.key(1), state))
    return PLANTED.hard()[np.asarray(user), negative].mean()


@pytest.mark.slow
def test_the_policy_puts_most_of_its_mass_on_planted_hard_items():
    assert mass_on_hard("kgpolicy") > 0.8
    assert mass_on_hard("rns") == pytest.approx(PLANTED.hard().mean(), abs=0.1)


@pytest.mark.slow
def test_its_negatives_pay_and_teach_more_than_uniform_ones():
    _, _, policy = trained("kgpolicy")
    _, _, uniform = trained("rns")
    assert policy["reward"] > 0.8
    # Delta of Eq. 4 for y_ui = 0: s(1) = .731 for a hard negative, s(0) = .5 for another one.
    assert policy["gradient_magnitude"] > uniform["gradient_magnitude"] + 0.1


@pytest.mark.long
def test_a_shuffled_reward_takes_that_away():
    assert mass_on_hard("shuffled") < 0.6
    assert trained("shuffled")[2]["reward"] < trained("kgpolicy")[2]["reward"] - 0.2
