"""A tiny world of dialogues, and run folders as `train.kgsf` leaves them, without training."""

import json

import jax
import numpy as np

from kgcrs.algorithms.dialogue_world import make_plan
from kgcrs.algorithms.reply_choice import item_tokens_for
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_to_dict, override
from kgcrs.core.run_folder import NOT_TRAINING, settings_hash
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.data.dialogue_samples import build_samples
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.vocab import END, PAD, START, build_vocabulary
from kgcrs.models.kgsf import init_kgsf
from tests.dialogue_worlds import conversation, dialogues

WORDS = ("funny", "scary", "song", "slow", "dark", "loud", "brave")
TITLES = tuple(f"Film {number} (19{number:02d})" for number in range(12))
GENRES = ("Comedy", "Horror", "$ Musical $", "Drama")


def world():
    """12 items (the last has no node), 4 genres, 7 words; the first test conversation is cold, its second label not."""
    talks = [
        conversation("a", "S: I want funny [12]", "R: see @1 or @2", "S: no , scary", "R: then @3"),
        conversation("b", "S: @2 was great", "R: see @4", "S: yes", "R: and @5 , it is dark"),
        conversation("silent", "S: @1 [13]", "R: @4 @6", has_text=False),
        conversation("v", "S: scary please", "R: @3 is scary", split=1),
        conversation(
            "t1",
            "S: funny scary slow dark loud brave please [12]",
            "R: see @1",
            "S: I liked @2 [13]",
            "R: then @3 and @2 again",
            "S: more",
            "R: @4 has a *song*",
            split=2,
            seeker="x",
        ),
        conversation("t2", "R: hello", "S: hi", "R: what do you like ?", "S: @11", "R: see @5", split=2, seeker="y"),
        conversation("t3", "S: a song", "R: try @6", "S: seen it", "R: try @11", split=2, seeker="x"),
        conversation("t4", "S: @7 please [14]", "R: bye", split=2, seeker="z"),
    ]
    triples = [(item, 0, 12 + item % 4) for item in range(11)]
    return dialogues(
        *talks, num_items=12, num_entities=16, unmapped=(11,), words=WORDS, names=TITLES + GENRES, triples=triples
    )


def written_replies(data, *, shift=0, item_tokens="native"):
    """Replies by contract: each says "see", names an item `shift` away from the human one, goes on after its end."""
    vocabulary = build_vocabulary(data, item_tokens=item_tokens)
    samples = build_samples(data, vocabulary, "test")[1]
    tokens = np.full((len(samples.turn), 6), PAD, np.int32)
    items = np.full_like(tokens, -1)
    for row, gold in enumerate(samples.gold_items):
        tokens[row, 0] = vocabulary.id_of("see")
        if gold[0] >= 0:
            items[row, 1] = (gold[0] + shift) % data.num_items
            tokens[row, 1] = vocabulary.token_of_item[items[row, 1]]
        tokens[row, 2:4] = END, vocabulary.id_of("scary")
    scored = (samples.reply > START).sum(axis=1).astype(np.int32)
    return {"tokens": tokens, "items": items, "nats": np.log(4.0) * scored, "count": scored}


def run_folder(root, name, *, level=0, replies=True, params=False, data=None, **changes):
    """One folder. level: every label's rank. changes: settings, with two underscores for a dot."""
    data = data or world()
    folder = root / name
    (folder / "eval").mkdir(parents=True)
    usual = {"dataset": "redial", "preference.dim": 4, "preference.more_than": 0}
    config = override(KgsfConfig(), usual | {key.replace("__", "."): value for key, value in changes.items()})
    (folder / "config.json").write_text(json.dumps(config_to_dict(config)))
    about = {"seed": config.seed, "data": data_fingerprint(data), "commit": "0" * 40}
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "versions.json").write_text(json.dumps({"machine": "test", "jax": "0"}))
    rows = [
        {"stage": "recommend", "step": step, "valid_R@1": 0.1, "valid_R@10": 0.2, "valid_R@50": 0.3 + step / 100}
        for step in (1, 2, 3)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = build_samples(data, build_vocabulary(data), "test")[0]
    ranks = np.full(len(samples.target), level, np.float32)
    np.savez(
        folder / "eval" / "labels.npz",
        target=samples.target,
        seeker=samples.seeker,
        among_all=ranks,
        among_new=np.maximum(ranks - 1, 0),
    )
    if replies:
        (folder / "dialogue").mkdir()
        np.savez(
            folder / "eval" / "replies.npz", **written_replies(data, shift=level, item_tokens=item_tokens_for(config))
        )
    if params:
        tag = settings_hash(config, folder, skip=NOT_TRAINING)
        kept = init_kgsf(jax.random.key(1), make_plan(data, config.preference))
        Checkpoints(folder / "recommender", config_hash=tag).save(0, kept)
    return folder
