"""The loop of a chat with KGSF: free text in, movies and a reply out, commands behind a slash.

All thinking is in `kgcrs.algorithms.live_answer`, all pictures are in `dialogue_view.py`. An exchange is a message
with its answer; forgetting one drops it, and a replay says the same messages again.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from kgcrs.algorithms.live_answer import MOST_LISTED, Answer, answer_after, heard, visible
from kgcrs.algorithms.trained_kgsf import TrainedKgsf
from kgcrs.core.errors import KgcrsError, closest
from kgcrs.core.runlog import versions
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.data.dialogue_build import merge_turns
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Turn
from kgcrs.data.live_linker import unknown_titles
from kgcrs.data.number_lines import whole
from kgcrs.demo.dialogue_transcript import Exchange, Talk, kept, kgsf_name, save_talk
from kgcrs.demo.dialogue_view import COMMANDS, DialogueView
from kgcrs.demo.keeping import Keeper
from kgcrs.demo.kept_chat import KeptChat
from kgcrs.demo.look import shown
from kgcrs.demo.phrases import find_name, quoted
from kgcrs.demo.replay import other_versions
from kgcrs.demo.transcript import compare

LONGEST_MESSAGE = 1_000_000
"""Characters. Longer lines are files that went the wrong way."""
DEFAULT_TOP = 5
_BARE = {"help": "help", "quit": "quit", "exit": "quit"}
"""Words that are commands without a slash, because nobody says only that to a recommender."""


class Spoken(NamedTuple):
    """One exchange. message: as typed, made visible. asked, replied: its turns. answer: with all its reasons."""

    message: str
    asked: Turn
    replied: Turn
    answer: Answer


class DialogueChat(KeptChat):
    """One person and one trained KGSF. `run` talks until she leaves; `tell` is the step that a replay uses."""

    def __init__(
        self,
        trained: TrainedKgsf,
        view: DialogueView,
        *,
        decode: DecodeConfig | None = None,
        seed: int = 0,
        top: int = DEFAULT_TOP,
        keeper: Keeper | None = None,
    ) -> None:
        """Prepares a conversation; nothing is shown yet.

        Args:
          trained: whom to talk with. view: the screen.
          decode: how replies are written; None as the run's settings say. seed: of sampled replies.
          top: movies listed, 1 to `MOST_LISTED`.
          keeper: where the conversation is kept; None keeps it nowhere until she types /save.
        """
        super().__init__(view, keeper or Keeper(None, partial(save_talk, data=trained.data)))
        self.trained, self.decode, self.seed, self.top = trained, decode or trained.config.decode, seed, top
        self.name = kgsf_name(trained)
        self.spoken: list[Spoken] = []

    def warm_up(self) -> None:
        """Builds the linker and compiles the programs of a turn, so that every answer comes at once."""
        answer_after(self.trained, [heard(self.trained, "hello")], self.decode)

    @property
    def has_begun(self) -> bool:
        """Whether anything was said."""
        return bool(self.spoken)

    def transcript(self) -> Talk:
        """The conversation so far, without what was forgotten."""
        exchanges = [
            Exchange(one.message, kept(one.answer, (*one.asked.items, *one.asked.entities), self.top))
            for one in self.spoken
        ]
        return Talk(self.name, self.seed, self.top, self.decode, tuple(exchanges), versions())

    def tell(self, text: str) -> Spoken:
        """Says something and takes the answer.

        Raises:
          KgcrsError: nothing was said, or far too much.
        """
        if len(text) > LONGEST_MESSAGE:
            raise KgcrsError(f"That message has {len(text):,} characters: {LONGEST_MESSAGE:,} are the most I read.")
        message = visible(text)
        asked = heard(self.trained, message, SEEKER)
        if not asked.text:
            raise KgcrsError("You said nothing that I can read: tell me what you like, or type /help.")
        before = [turn for one in self.spoken for turn in (one.asked, one.replied)]
        answer = answer_after(self.trained, merge_turns([*before, asked]), self.decode, self.seed)
        one = Spoken(message, asked, heard(self.trained, answer.text, RECOMMENDER), answer)
        self.spoken.append(one)
        return one

    def run(self) -> None:
        """Talks until the person leaves or the input ends."""
        self.view.listen(self._hear)
        self.leave()

    def _hear(self, line: str) -> bool:
        """Handles a line; False when it was a goodbye."""
        command = _BARE.get(line.casefold())
        if command is None and line.startswith("/"):
            command, _, argument = line[1:].partition(" ")
            return self._obey(command.casefold(), argument.strip())
        if command is not None:
            return self._obey(command, "")
        one = self.tell(line)
        self.view.found(one.asked, unknown_titles(self.trained.linker, one.message))
        self.view.show(one.answer, self.top)
        self.autosave()
        return True

    def _obey(self, command: str, argument: str) -> bool:
        if command == "help":
            self.view.help()
        elif command == "why":
            self._why(argument)
        elif command == "top":
            self._top(argument)
        elif command == "forget":
            self._forget(argument)
        elif command == "new":
            self.keeper.next_conversation()
            self.spoken = []
            self.view.say("A new conversation: what are you in the mood for?", style="magenta")
        elif command == "save":
            self._begun()
            self.save_as(argument)
        elif command not in ("quit", "exit"):
            near = closest(command, COMMANDS)
            raise KgcrsError(f"There is no command {quoted('/' + command)}: type /help to see all.{near}")
        return command not in ("quit", "exit")

    def _begun(self) -> Spoken:
        if not self.spoken:
            raise KgcrsError("Nothing was said yet: tell me what you like, such as a movie, a genre or a mood.")
        return self.spoken[-1]

    def _why(self, argument: str) -> None:
        answer = self._begun().answer
        titles = [self.trained.title(one.item) for one in answer.listed]
        if not titles:
            raise KgcrsError("There is no movie to explain: all that I know were named.")
        place = 0
        if argument.isdecimal():
            place = whole(argument) - 1
            if not 0 <= place < len(titles):
                raise KgcrsError(f"There is no number {quoted(argument)} in the list: use 1 to {len(titles)}.")
        elif argument:
            place = find_name(argument, titles, "movie in the list")
        self.view.why(answer, place)

    def _top(self, argument: str) -> None:
        most = min(MOST_LISTED, self.trained.data.num_items)
        top = whole(argument)
        if not 1 <= top <= most:
            raise KgcrsError(f"/top takes a number from 1 to {most}, such as /top {min(10, most)}.")
        self.top = top
        if not self.spoken:
            self.view.say(f"I will list {self.view.look.many(self.top)}.", style="magenta")
            return
        self.view.show(self.spoken[-1].answer, self.top)
        self.autosave()

    def _forget(self, argument: str) -> None:
        self._begun()
        steps = min(whole(argument or "1"), len(self.spoken))
        if steps < 1:
            raise KgcrsError(f"/forget takes a number of messages, such as /forget 2, not {quoted(argument)}.")
        self.spoken = self.spoken[:-steps]
        self.view.say(f"Forgotten: your last {'message' if steps == 1 else f'{steps} messages'}.", style="magenta")
        if self.spoken:
            self.view.show(self.spoken[-1].answer, self.top)
        self.autosave()  # even of nothing: what was forgotten must not stay in the file


def replay_talk(chat: DialogueChat, saved: Talk, file: Path) -> bool:
    """Says the saved messages again, shows the conversation and compares every answer with the saved one.

    Args:
      chat: a fresh chat; afterwards it stands where the saved conversation stopped.

    Returns:
      True when every answer is the one that was saved; otherwise the replay stops at the first that is not.

    Raises:
      KgcrsError: a message that cannot be said.
    """
    view, size = chat.view, 0.0
    chat.seed, chat.top, chat.decode = saved.seed, saved.top, saved.decode
    view.say("Replaying ", shown(str(file), "bold"), f", seed {saved.seed}.")
    for place, exchange in enumerate(saved.exchanges):
        view.echo(exchange.message)
        try:
            one = chat.tell(exchange.message)
        except KgcrsError as error:
            raise KgcrsError(f"The saved conversation '{file}' is damaged at turns[{place}].message: {error}") from None
        view.found(one.asked, unknown_titles(chat.trained.linker, one.message))
        view.show(one.answer, chat.top)
        difference = compare(exchange.said, chat.transcript().exchanges[-1].said)
        if difference.move:
            view.problem(
                f"This differs from the saved conversation at message {place + 1}{other_versions(saved.versions)}."
            )
            return False
        size = max(size, difference.size)
    count = len(saved.exchanges)
    again = f"Replayed {count} message{'s' * (count != 1)}: "
    if size:
        same = f"the same answers, but numbers behind them differ by up to {size:.1e}{other_versions(saved.versions)}."
        view.say("\n", again + same, style="yellow")
    else:
        view.say("\n", again + "exactly the same answers.", style="bold green")
    return True
