"""What stands in a context, and that nothing of the turn itself or of a later one does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.data.dialogue_contexts import contexts_before, live_context, read_streams, window, words_in_texts
from kgcrs.data.dialogue_samples import build_samples
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Conversation, Turn
from kgcrs.data.stop_words import STOP_WORDS
from kgcrs.data.tokenize import tokenize
from kgcrs.data.vocab import PAD, UNK, build_vocabulary
from tests.dialogue_worlds import conversation, dialogues

WORDS = ("spooky", "the", "sci_fi", "Dark", "@3")


def real(row):
    """The values before the padding; there is none behind it."""
    row = row.tolist()
    pad = PAD if len(row) == 256 else -1
    end = row.index(pad) if pad in row else len(row)
    assert set(row[end:]) <= {pad}
    return row[:end]


def test_a_context_written_out():
    talk = conversation("a", "R: Hi @1 [12]", "S: dark DARK the sci-fi @2 [13] [12]", "R: @1 @5 spooky")
    data = dialogues(talk, words=WORDS)
    vocabulary = build_vocabulary(data)
    streams = read_streams(data.conversations, data, vocabulary)
    context = contexts_before(streams, np.arange(4))
    assert [field.shape for field in context] == [(4, 256), (4, 32), (4, 128)]
    assert all(field.dtype == np.int32 for field in context)
    texts = [" ".join(vocabulary.tokens[token] for token in real(row)) for row in context.tokens]
    first, second = "Hi @1", "dark DARK the sci-fi @2"
    assert texts == ["", first, f"{first} _split_ {second}", f"{first} _split_ {second} _split_ @1 @5 spooky"]
    # Movies before the other entities of a turn; 1 and 12 keep the place of their first mention.
    assert [real(row) for row in context.entities] == [[], [1, 12], [1, 12, 2, 13], [1, 12, 2, 13, 5]]
    # "the" is a stop-word although the graph has it, "Dark" is found in small letters, once.
    assert [real(row) for row in context.words] == [[], [], [3, 2], [3, 2, 0]]


def test_item_tokens_are_words_only_where_the_graph_has_them():
    data = dialogues(conversation("a", "S: @3 @4", "R: yes"), words=WORDS)
    context = live_context(data.conversations[0].turns, data, build_vocabulary(data))
    assert real(context.words[0]) == [4]


def test_texts_on_movies_are_read_like_messages():
    data = dialogues(conversation("a", "S: hi"), words=WORDS)
    texts = ("A dark, dark Sci-Fi: the spooky @3", "", "spooky dark")
    # Nodes: 0 spooky, 1 the (a stop-word), 2 sci_fi, 3 Dark, 4 @3; each once, in the order of the text, two at most.
    assert words_in_texts(texts, data, 2).tolist() == [[3, 2], [-1, -1], [0, 3]]
    assert real(words_in_texts(texts, data, 6)[0]) == [3, 2, 0, 4]


def test_the_latest_are_kept():
    names = tuple(f"w{number}" for number in range(300))
    talk = conversation(
        "a", "S: " + " ".join(names[:200]), "R: " + " ".join(f"[{entity}]" for entity in range(10, 50)), "S: w0 w250"
    )
    data = dialogues(talk, num_entities=60, words=names)
    vocabulary = build_vocabulary(data)
    context = live_context(talk.turns, data, vocabulary)
    assert real(context.entities[0]) == list(range(18, 50))
    # w0 was first said long ago, so its second use does not bring it back.
    assert real(context.words[0]) == [*range(73, 200), 250]
    # 200 tokens, a separator, an empty turn, a separator, two tokens: all fit.
    assert len(real(context.tokens[0])) == 204
    longer = live_context((*talk.turns, *talk.turns), data, vocabulary)
    assert real(longer.tokens[0])[-204:] == real(context.tokens[0]) and len(real(longer.tokens[0])) == 256


def test_without_text_only_entities_are_known():
    silent = conversation("a", "S: dark @1", "R: dark @2 [11]", "S: @3", has_text=False)
    data = dialogues(silent, conversation("b", "S: dark"), words=WORDS)
    streams = read_streams(data.conversations, data, build_vocabulary(data))
    context = contexts_before(streams, np.array([2, 5]))
    assert real(context.tokens[0]) == [] and real(context.words[0]) == [] and real(context.entities[0]) == [1, 2, 11]
    assert len(real(context.tokens[1])) == 1 and real(context.words[1]) == [3] and real(context.entities[1]) == []


def test_an_empty_chat_and_no_conversations():
    data = dialogues(conversation("a", "S: hi"))
    vocabulary = build_vocabulary(data)
    context = live_context((), data, vocabulary)
    assert (context.tokens == PAD).all() and (context.entities == -1).all() and (context.words == -1).all()
    none = contexts_before(read_streams((), data, vocabulary), np.zeros(0, np.int32))
    assert [field.shape for field in none] == [(0, 256), (0, 32), (0, 128)]


def test_window_by_hand():
    stream = np.array([5, 6, 7, 8], np.int32)
    start, end = np.array([0, 1, 3, 4, 2]), np.array([4, 2, 4, 4, 1])
    expected = [[5, 6, 7], [6, -1, -1], [8, -1, -1], [-1, -1, -1], [-1, -1, -1]]
    assert window(stream, start, end, 3, -1).tolist() == expected


ids = st.lists(st.integers(0, 9), max_size=3)
turns = st.tuples(ids, st.lists(st.integers(10, 79), max_size=12), st.lists(st.integers(0, 199), max_size=90))
chats = st.lists(st.lists(turns, min_size=1, max_size=9), min_size=1, max_size=4)


def talk(name, drawn, opener):
    """Turns whose words name the turn, so that each token of a context shows where it was said."""
    said = []
    for place, (items, entities, words) in enumerate(drawn):
        marks = [*(f"t{place}w{word}" for word in words), *(f"@{item}" for item in items)]
        said.append(Turn((opener + place) % 2, " ".join(marks), tuple(items), tuple(entities)))
    return Conversation(name, 0, f"seeker {name}", "adviser", tuple(said), {}, True)


def unique_tail(values, width):
    return list(dict.fromkeys(values))[-width:]


@given(chats, st.sampled_from([SEEKER, RECOMMENDER]))
def test_contexts_end_before_the_turn_and_equal_a_slow_twin(drawn, opener):
    conversations = [talk(f"c{place}", chat, opener) for place, chat in enumerate(drawn)]
    names = tuple(f"t{turn}w{word}" for turn in range(9) for word in range(0, 200, 2))
    data = dialogues(*conversations, num_entities=80, words=names)
    vocabulary = build_vocabulary(data)
    recommend, replies = build_samples(data, vocabulary, "train")
    assert len(replies.turn) == sum(turn.role == RECOMMENDER for chat in conversations for turn in chat.turns[1:])
    for samples in (recommend, replies):
        rows = zip(samples.conversation, samples.turn, *samples.context, strict=True)
        for place, number, tokens, entities, words in rows:
            before = conversations[place].turns[:number]
            assert number > 0 and conversations[place].turns[number].role == RECOMMENDER
            said = [vocabulary.tokens[token] for token in real(tokens)]
            assert all(int(token[1 : token.index("w")]) < number for token in said if token[0] == "t")
            joined = [token for turn in before for token in ("_split_", *tokenize(turn.text))][1:]
            assert said == joined[-256:] and UNK not in tokens
            assert real(entities) == unique_tail([one for turn in before for one in (*turn.items, *turn.entities)], 32)
            looked_up = [names.index(token) for token in joined if token in names and token not in STOP_WORDS]
            assert real(words) == unique_tail(looked_up, 128)


@given(chats)
def test_a_live_chat_sees_what_the_sample_sees(drawn):
    conversations = [talk(f"c{place}", chat, SEEKER) for place, chat in enumerate(drawn)]
    data = dialogues(*conversations, num_entities=80, words=("t0w1",))
    vocabulary = build_vocabulary(data)
    replies = build_samples(data, vocabulary, "train")[1]
    for row, (place, number) in enumerate(zip(replies.conversation, replies.turn, strict=True)):
        live = live_context(conversations[place].turns[:number], data, vocabulary)
        for one, other in zip(live, replies.context, strict=True):
            assert np.array_equal(one[0], other[row])
