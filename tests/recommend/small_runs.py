"""Tiny trained runs on disk: a planted world as a folder in the KGAT format, and recommenders trained on it."""

import numpy as np

from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from kgcrs.data.synthetic_kg import planted_kg
from train.run_kgpolicy import train_run

WORLD = planted_kg(num_users=40, num_items=120, num_genres=3, per_user=10)


def write_world(folder):
    """The planted data with all names; returns the folder."""
    data = WORLD.data
    folder.mkdir(parents=True)
    for stem, splits in (("train", (0, 1)), ("test", (2,))):
        rows = np.isin(data.split, splits)
        lines = [" ".join(map(str, [u, *data.item[rows & (data.user == u)]])) for u in range(data.num_users)]
        (folder / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    (folder / "kg_final.txt").write_text("".join(f"{h} {r} {t}\n" for h, r, t in data.triples))
    for stem, names in (
        ("user", data.user_names),
        ("item", data.entity_names[: data.num_items]),
        ("entity", data.entity_names),
        ("relation", data.relation_names),
    ):
        lines = "".join(f"{name} {number}\n" for number, name in enumerate(names))
        (folder / f"{stem}_list.txt").write_text(f"org_id remap_id\n{lines}")
    return folder


def write_run(folder, world, model="mf", sampler="rns", epochs=40):
    """Trains and returns the run folder."""
    config = KgPolicyConfig(
        dataset=f"kgat:{world}",
        bpr=BprConfig(model=model, dim=8, batch_size=64, lr=0.02, l2=0.01, max_epochs=epochs, eval_every=epochs),
        sampler=SamplerConfig(name=sampler, pool_size=8, memory_slots=4),
    )
    train_run(config, folder)
    return folder
