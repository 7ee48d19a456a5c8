"""Answers in a running conversation: what is listed, why, and what is written."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kgcrs.algorithms.live_answer as live
from kgcrs.algorithms.live_answer import Lift, answer_after, heard, reply_turn, visible
from kgcrs.algorithms.preference_view import named_before, view_context
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.data.dialogue_contexts import live_context
from kgcrs.data.dialogue_samples import recommend_samples
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Turn
from kgcrs.data.vocab import END, PAD, START, UNK, Vocabulary
from kgcrs.models.kgsf import recommend, user_vector
from tests.kgsf_runs import CONFIG, small_kgsf

KGSF = small_kgsf()
TALK = ["I loved The Silent Islands (1970) and @7", "How about @5?", "Something spooky, or a horror film like @9"]
SAMPLED = DecodeConfig(method="sampled", length=12, temperature=2.0)


def logits_of(turns):
    context = live_context(turns, KGSF.data, KGSF.vocabulary)
    recommender, encoded = KGSF.recommender, KGSF.encoded
    view = user_vector(recommender, KGSF.plan, encoded, context.entities, context.words)
    return np.asarray(recommend(recommender, KGSF.plan, encoded, view.vector))[0], context


def turns_of(texts):
    return [heard(KGSF, text, (SEEKER, RECOMMENDER)[place % 2]) for place, text in enumerate(texts)]


def test_the_list_leaves_out_what_was_named_and_lifts_add_up_to_logits():
    answer = KGSF.answer(TALK)
    logits, _ = logits_of(turns_of(TALK))
    named = {item for turn in turns_of(TALK) for item in turn.items}
    assert named >= {5, 7, 9} and not named & {one.item for one in answer.listed}
    left = [item for item in np.argsort(-logits) if item not in named]
    assert [one.item for one in answer.listed] == left[: len(answer.listed)]
    odds = np.exp(logits[left] - logits[left].max())
    np.testing.assert_allclose([one.share for one in answer.listed], (odds / odds.sum())[: len(answer.listed)], 1e-4)
    for one, lifts in zip(answer.listed, answer.lifts, strict=True):
        np.testing.assert_allclose(sum(lift.lift for lift in lifts), logits[one.item] - logits.mean(), atol=1e-5)
        assert [lift.lift for lift in lifts] == sorted((lift.lift for lift in lifts), reverse=True)


def test_contexts_are_those_of_training():
    samples = recommend_samples(KGSF.data, KGSF.vocabulary, "test")
    row = int(np.argmax((samples.context.entities[:, 1] >= 0) & samples.has_text))
    turns = KGSF.data.conversations[samples.conversation[row]].turns[: samples.turn[row]]
    answer = answer_after(KGSF, turns, CONFIG.decode)
    assert {one.id for one in answer.entities} == set(samples.context.entities[row].tolist()) - {-1}
    assert {one.id for one in answer.words} == set(samples.context.words[row].tolist()) - {-1}
    for weights in (answer.words, answer.entities):
        assert sum(one.weight for one in weights) == pytest.approx(1 if weights else 0, abs=1e-5)
    assert 0 < answer.word_share < 1 and not answer.is_full


def test_replies_name_the_listed_movies_in_their_order():
    answers = [KGSF.answer(TALK, SAMPLED, seed) for seed in range(4)]
    assert any(answer.items for answer in answers) and len({answer.text for answer in answers}) > 1
    for answer in answers:
        assert list(answer.items) == [one.item for one in answer.listed[: len(answer.items)]]
    assert KGSF.answer(TALK, SAMPLED, 3) == answers[3] and answers[3].is_written and answers[3].log_prob < 0


def test_without_a_dialogue_stage_the_sentence_is_plain():
    answer = small_kgsf(is_written=False).answer(TALK)
    best = answer.listed[0].item
    assert answer.text == f"How about @{best}?" and answer.items == (best,) and not answer.is_written
    assert answer.listed == KGSF.answer(TALK).listed
    # Its words must not sway what comes next: they are stop-words.
    _, context = logits_of([Turn(RECOMMENDER, answer.text, answer.items, ())])
    assert (context.words == -1).all()


def test_one_compilation_serves_all_turns():
    # One length that no other test uses.
    decode, before = DecodeConfig(length=7), (live._view._cache_size(), live._write._cache_size())
    huge = "spooky " * 100_000
    for talk in (["hi"], TALK, [*TALK, "Yes", "@12 then"], [huge]):
        answer = KGSF.answer(talk, decode)
    assert live._write._cache_size() == before[1] + 1 and live._view._cache_size() <= before[0] + 1
    assert answer.is_full and [one.weight for one in answer.words] == [pytest.approx(1.0)]


def test_eager_is_jit():
    _, context = logits_of(turns_of(TALK))
    given = (KGSF.recommender, KGSF.encoded, context.entities, context.words)
    eager = view_context(*given, plan=KGSF.plan, num_listed=20)
    for one, other in zip(eager, live._view(*given, plan=KGSF.plan, num_listed=20), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_catalogue_that_was_named_altogether_lists_nothing():
    entities = jnp.arange(KGSF.plan.num_items)[None]
    view = view_context(KGSF.recommender, KGSF.encoded, entities, jnp.full((1, 2), -1), plan=KGSF.plan, num_listed=3)
    assert live._found(jax.device_get(view)) == [] and live._plain_reply([]).items == ()


def test_named_before():
    # Of 3 items, 0 and 2 are named; entity 7 is no item.
    assert named_before(jnp.array([[2, 7, 0, -1], [-1, -1, -1, -1]]), 3).tolist() == [[1, 0, 1], [0, 0, 0]]


def test_a_reply_becomes_a_turn():
    vocabulary = Vocabulary(("_pad_", "_start_", "_end_", "_unk_", "Try", "@3", "!", "_split_"), 9)
    tokens = np.array([START, 4, 5, UNK, 5, 6, 7, END, 4, PAD])
    items = np.array([-1, -1, -1, -1, 8, -1, -1, -1, -1, -1])
    # @3 as emitted, then item 8 in the slot of @3; reserved tokens and what follows the end are nothing.
    assert reply_turn(vocabulary, tokens, items) == Turn(RECOMMENDER, "Try @3 @8!", (3, 8), ())


@pytest.mark.parametrize(
    ("typed", "seen"),
    [("a\x00b\x1b[2J", "a b [2J"), ("\ud800 x\u2028y", "x y"), (" \t\n\x07", ""), ("é\ufffd", "é\ufffd")],
)
def test_what_cannot_be_shown_is_white_space(typed, seen):
    assert visible(typed) == seen


def test_nothing_said_is_an_error():
    for talk, said in (
        ([], "conversation is empty"),
        (["hi", "there", "\x00 \n"], "last message of the conversation says nothing"),
        ("something funny", "conversation is 'something funny': give a list of messages"),
        (["hi", None], "give a list of messages"),
    ):
        with pytest.raises(KgcrsError, match=said):
            KGSF.answer(talk)
    with pytest.raises(KgcrsError, match="decode.temperature is 0"):
        KGSF.answer(TALK, replace(SAMPLED, temperature=0))


def test_lifts_name_their_kind():
    kinds = {lift.kind for lift in KGSF.answer(TALK).lifts[0]}
    assert kinds == {"word", "entity", "bias"}
    silent = KGSF.answer(["zzz"])
    assert silent.words == silent.entities == () and silent.lifts[0] == (Lift("bias", -1, silent.lifts[0][0].lift),)
