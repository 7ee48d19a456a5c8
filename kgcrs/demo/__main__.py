"""Talks with a trained agent: `python -m kgcrs.demo --run DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kgcrs.core.errors import KgcrsError, run_main

_RUNS = Path("runs")
_EXAMPLES = """examples:
  python -m kgcrs.demo                                    talk with the newest run under runs/
  python -m kgcrs.demo --run runs/kgensam-lastfm-seed0 --data-root DATA --user 17
  python -m kgcrs.demo --save chat.json                   keep the conversation, even after Ctrl-C
  python -m kgcrs.demo --replay chat.json                 the same answers again
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
        return _talk(args, run_dir)
    except KeyboardInterrupt:
        print("\nGoodbye!")
        return 130


def newest_run(folder: Path) -> Path:
    """The run that was finished last under a folder.

    Raises:
      KgcrsError: there is none.
    """
    agents = [agent for agent in folder.glob("*/agent") if (agent.parent / "config.json").is_file()]
    if not agents:
        raise KgcrsError(
            f"There is no trained agent under '{folder}': train one with python -m train.kgensam, "
            "or name its folder with --run."
        )
    return max(agents, key=lambda agent: agent.stat().st_mtime).parent


def _talk(args: argparse.Namespace, run_dir: Path) -> int:
    # Imported late, because these load jax and --help does not need it.
    from rich.console import Console

    from kgcrs.algorithms.trained_agent import load_agent, read_config
    from kgcrs.demo.chat import Chat
    from kgcrs.demo.keeping import Keeper
    from kgcrs.demo.lookup import noun_of
    from kgcrs.demo.phrases import find_user, is_visitor
    from kgcrs.demo.reading import load_transcript
    from kgcrs.demo.replay import replay
    from kgcrs.demo.terminal import Terminal
    from kgcrs.demo.transcript import names_of

    read_config(run_dir)  # a wrong folder is told before the wait
    with Console(stderr=True).status("waking the agent up ..."):
        agent = load_agent(run_dir, args.data_root or "")
        data, protocol = agent.data, agent.config.protocol
        user = None
        if args.user is not None:
            user = data.num_users if is_visitor(args.user) else find_user(args.user, data.user_names)
        names = names_of(data, protocol.question)
        view = Terminal(names, noun_of(data.name), protocol.max_turns)
        save, saved = (Path(name).expanduser() if name else None for name in (args.save, args.replay))
        goes_on = save is not None and saved is not None and save.resolve() == saved.resolve()
        keeper = Keeper(save, names, goes_on=goes_on)
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
    try:
        chat.run()
    except KeyboardInterrupt:
        print()
        chat.leave()
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kgcrs.demo",
        description="Talk with a trained KGenSam agent: you think of an item, it asks or recommends.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", metavar="DIR", help="folder of a finished run (default: the newest under runs/)")
    parser.add_argument("--user", metavar="ID|NAME", help="who you are: a number, a name, or new (default: ask)")
    parser.add_argument("--data-root", metavar="DIR", help="folder that holds the data sets (default: as trained)")
    parser.add_argument("--replay", metavar="FILE", help="give the answers of a saved conversation again")
    parser.add_argument("--save", metavar="FILE", help="keep the conversation in FILE, rewritten after every answer")
    parser.add_argument("--seed", type=int, metavar="N", help="random seed of the conversation (default: 0)")
    return parser


if __name__ == "__main__":
    run_main(main)
