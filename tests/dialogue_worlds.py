"""Small dialogue data sets written by hand."""

import numpy as np

from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Conversation, DialogueData, Turn

ROLES = {"S": SEEKER, "R": RECOMMENDER}


def conversation(name, *lines, split=0, seeker=None, opinions=None, has_text=True):
    """A conversation out of lines such as "S: I like @3 [9]", where [9] is an entity; silent ones keep no text."""
    turns = []
    for line in lines:
        role, text = line.split(":", 1)
        entities = tuple(int(word[1:-1]) for word in text.split() if word[0] == "[")
        words = [word for word in text.split() if word[0] != "["]
        items = tuple(int(word[1:]) for word in words if word[0] == "@" and word[1:].isdecimal())
        turns.append(Turn(ROLES[role], " ".join(words) if has_text else "", items, entities))
    return Conversation(name, split, seeker or f"seeker {name}", "adviser", tuple(turns), opinions or {}, has_text)


def dialogues(*conversations, num_items=10, num_entities=14, unmapped=(), words=(), names=None, triples=()):
    """A validated data set with the given conversations."""
    mapped = np.ones(num_items, np.bool_)
    mapped[list(unmapped)] = False
    data = DialogueData(
        name="tiny",
        conversations=tuple(conversations),
        num_items=num_items,
        num_entities=num_entities,
        num_relations=2,
        entity_names=names or tuple(f"entity {number}" for number in range(num_entities)),
        relation_names=("has genre", "starring"),
        triples=np.array(triples, np.int32).reshape(-1, 3),
        mapped=mapped,
        word_names=tuple(words),
        word_edges=np.zeros((0, 2), np.int32),
        item_text=("",) * num_items,
    )
    data.validate()
    return data
