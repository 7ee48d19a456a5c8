"""Talks with a trained agent of KGenSam, or with a trained KGSF: `python -m kgcrs.demo --run DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kgcrs.core.errors import KgcrsError, run_main
from kgcrs.demo.runs import check_talks, is_kgsf, newest_run

_RUNS = Path("runs")
_EXAMPLES = """examples:
  python -m kgcrs.demo                                    talk with the newest run under runs/
  python -m kgcrs.demo --run runs/kgensam-lastfm-seed0 --data-root DATA --user 17
  python -m kgcrs.demo --save chat.json                   keep the conversation, even after Ctrl-C
  python -m kgcrs.demo --replay chat.json                 the same answers again
  python -m kgcrs.demo --run runs/kgsf-redial-seed0 --method beam        free talk about movies
  printf 'new\\njazz\\nyes\\nno\\n' | python -m kgcrs.demo    answers from a pipe
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Holds one conversation, or several.

    Args:
      argv: the words after `python -m kgcrs.demo`; None takes them from the process.

    Returns:
      0; 1 when a replay differs from what was saved; 130 after Ctrl-C.

    Raises:
      KgcrsError: no such run, missing data, or a file that cannot be replayed or written.
      SystemExit: from argparse, after --help or an unknown flag.
    """
    args = _parser().parse_args(argv)
    for stream in (sys.stdin, sys.stdout):
        # A name or a byte that the terminal's encoding lacks is shown as "?" rather than ending the talk.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    if args.replay and (args.user is not None or args.seed is not None):
        raise KgcrsError("--replay brings its own user and seed: leave --user and --seed out.")
    if not 0 <= (args.seed or 0) < 2**32:
        raise KgcrsError(f"--seed is {args.seed}, but seeds go from 0 to {2**32 - 1}.")
    run_dir = Path(args.run) if args.run else newest_run(_RUNS)
    try:
        if is_kgsf(run_dir):
            from kgcrs.demo.dialogue_start import talk_kgsf  # loads jax, which --help does not need

            return talk_kgsf(args, run_dir)
        check_talks(run_dir)
        _check_flags(args)
        return _talk(args, run_dir)
    except KeyboardInterrupt:
        print("\nGoodbye!")
        return 130


def _check_flags(args: argparse.Namespace) -> None:
    for name in ("method", "beams", "temperature", "top_k", "top"):
        if getattr(args, name) is not None:
            raise KgcrsError(f"--{name.replace('_', '-')} is for runs of KGSF: leave it out, or name one with --run.")


def _talk(args: argparse.Namespace, run_dir: Path) -> int:
    # Imported late, because these load jax and --help does not need it.
    from functools import partial

    from rich.console import Console

    from kgcrs.algorithms.trained_agent import load_agent, read_config
    from kgcrs.demo.chat import Chat
    from kgcrs.demo.keeping import Keeper, kept_files
    from kgcrs.demo.kept_chat import run_chat
    from kgcrs.demo.lookup import noun_of
    from kgcrs.demo.phrases import find_user, is_visitor
    from kgcrs.demo.reading import load_transcript
    from kgcrs.demo.replay import replay
    from kgcrs.demo.terminal import Terminal
    from kgcrs.demo.transcript import names_of, save_transcript

    read_config(run_dir)  # a wrong folder is told before the wait
    with Console(stderr=True).status("waking the agent up ..."):
        agent = load_agent(run_dir, args.data_root or "")
        data, protocol = agent.data, agent.config.protocol
        user = None
        if args.user is not None:
            user = data.num_users if is_visitor(args.user) else find_user(args.user, data.user_names)
        names = names_of(data, protocol.question)
        view = Terminal(names, noun_of(data.name), protocol.max_turns)
        save, saved, goes_on = kept_files(args.save, args.replay)
        keeper = Keeper(save, partial(save_transcript, names=names), goes_on=goes_on)
        chat = Chat(agent, view, seed=args.seed or 0, user=user, keeper=keeper)
        recorded = load_transcript(saved, names, chat.name) if saved else None
        chat.warm_up()
    view.welcome(data.name, run_dir.name, data.num_items, data.num_attributes)
    if keeper.file != save:
        view.say(f"{save} holds an earlier conversation, so this one is kept as {keeper.file}.", style="dim")
    # Outside the `try`: Ctrl-C in the middle of a replay must not save half of it over the whole.
    if saved and recorded:
        if not replay(chat, recorded, saved):
            return 1
        if chat.moments[-1].reply.kind == "end":
            return 0
        view.say("It was left unfinished, so we can go on from here.")
    return run_chat(chat)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kgcrs.demo",
        description="Talk with a trained agent. KGenSam: you think of an item, it asks or recommends. "
        "KGSF: you say in your own words what you like.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", metavar="DIR", help="folder of a finished run (default: the newest under runs/)")
    parser.add_argument(
        "--user", metavar="ID|NAME", help="KGenSam: who you are: a number, a name, or new (default: ask)"
    )
    parser.add_argument("--data-root", metavar="DIR", help="folder that holds the data sets (default: as trained)")
    parser.add_argument("--replay", metavar="FILE", help="give the answers of a saved conversation again")
    parser.add_argument("--save", metavar="FILE", help="keep the conversation in FILE, rewritten after every answer")
    parser.add_argument("--seed", type=int, metavar="N", help="random seed of the conversation (default: 0)")
    own = parser.add_argument_group("chats with KGSF")
    own.add_argument("--top", type=int, metavar="N", help="movies that are listed (default: 5)")
    methods = ("greedy", "beam", "sampled")
    own.add_argument("--method", choices=methods, help="how replies are written (default: as the run says)")
    own.add_argument("--beams", type=int, metavar="N", help="replies that beam search follows")
    own.add_argument("--temperature", type=float, metavar="X", help="of sampled replies; towards 0 it becomes greedy")
    own.add_argument("--top-k", type=int, metavar="N", help="draw among the N likeliest tokens; 0 for all")
    return parser


if __name__ == "__main__":
    run_main(main)
