"""Starts a chat with a KGSF run: loading, greeting, replaying, talking."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from kgcrs.algorithms.live_answer import MOST_LISTED
from kgcrs.algorithms.trained_kgsf import load_kgsf, read_kgsf_config
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.demo.dialogue_chat import DEFAULT_TOP, DialogueChat, replay_talk
from kgcrs.demo.dialogue_transcript import load_talk, save_talk
from kgcrs.demo.dialogue_view import DialogueView
from kgcrs.demo.keeping import Keeper, kept_files
from kgcrs.demo.kept_chat import run_chat

OWN_FLAGS = ("method", "beams", "temperature", "top_k", "top")
"""Flags of the program that only a chat with KGSF reads."""


def talk_kgsf(args: argparse.Namespace, run_dir: Path) -> int:
    """Holds a conversation with a KGSF run.

    Args:
      args: of `python -m kgcrs.demo`; flags that were not given are None.

    Returns:
      Exit status: 0; 1 when a replay differs from what was saved; 130 after Ctrl-C.

    Raises:
      KgcrsError: flags that do not fit, no such run, missing data, or a file that cannot be replayed or written.
    """
    config = read_kgsf_config(run_dir)  # a wrong folder is told before the wait
    if args.user is not None:
        raise KgcrsError("--user is for runs of KGenSam: KGSF knows people by what they say, so leave it out.")
    given = [name for name in OWN_FLAGS if getattr(args, name) is not None]
    if args.replay and given:
        flag = given[0].replace("_", "-")
        raise KgcrsError(f"--replay brings its own settings of the answers: leave --{flag} out.")
    decode, top = style_of(args, config.decode), DEFAULT_TOP if args.top is None else args.top
    if not 1 <= top <= MOST_LISTED:
        raise KgcrsError(f"--top is {top}, but a list has 1 to {MOST_LISTED} movies.")
    save, saved, goes_on = kept_files(args.save, args.replay)
    # Both messages stand for seconds of waiting on ReDial.
    with Console(stderr=True).status("waking the recommender up ...") as status:
        trained = load_kgsf(run_dir, args.data_root)
        view = DialogueView(trained.data)
        keeper = Keeper(save, partial(save_talk, data=trained.data), goes_on=goes_on)
        chat = DialogueChat(trained, view, decode=decode, seed=args.seed or 0, top=top, keeper=keeper)
        recorded = load_talk(saved, trained.data, chat.name) if saved else None
        if recorded:
            chat.decode = recorded.decode
        status.update("learning the names of movies and people ...")
        chat.warm_up()
    view.welcome(trained.data, run_dir.name, is_written=trained.writer is not None)
    if keeper.file != save:
        view.say(f"{save} holds an earlier conversation, so this one is kept as {keeper.file}.", style="dim")
    # Ctrl-C in the middle of a replay must not save half of it over the whole, so nothing catches it here.
    if saved and recorded and not replay_talk(chat, recorded, saved):
        return 1
    return run_chat(chat)


def style_of(args: argparse.Namespace, told: DecodeConfig) -> DecodeConfig:
    """How replies are written: the run's settings under the flags that were given.

    Raises:
      KgcrsError: a value that no reply can be written with.
    """
    flags = {"method": args.method, "beams": args.beams, "temperature": args.temperature, "top_k": args.top_k}
    decode = replace(told, **{name: value for name, value in flags.items() if value is not None})
    decode.validate()
    return decode
