"""The conversation loop: hearing lines, answering, taking back and saving.

All thinking is in `session.py`, all wording of replies in `terminal.py`, and what precedes the first move in
`opening.py`; this module keeps the list of states that undo walks back along, and writes the file of `--save`
after every answer.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from kgcrs.algorithms.trained_agent import TrainedAgent
from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import versions
from kgcrs.core.trees import tree_hash
from kgcrs.demo import asides, lookup, phrases
from kgcrs.demo.keeping import Keeper
from kgcrs.demo.kept_chat import KeptChat
from kgcrs.demo.opening import choose_user, greet, opening_attribute
from kgcrs.demo.reasons import Reply
from kgcrs.demo.session import ChatState, Message, answer, open_chat, with_visitor
from kgcrs.demo.terminal import Terminal
from kgcrs.demo.transcript import (
    AgentName,
    Transcript,
    Turn,
    names_of,
    save_transcript,
)
from kgcrs.env.dialogue import ASK

LONGEST_LINE = 500


class Moment(NamedTuple):
    """A state of the conversation and the move that led to it."""

    state: ChatState
    reply: Reply


class Chat(KeptChat):
    """One person at one prompt. `run` talks until she leaves; `start` and `take` are the steps a replay
    uses."""

    def __init__(
        self,
        agent: TrainedAgent,
        view: Terminal,
        *,
        seed: int,
        user: int | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        """Prepares a conversation; nothing is shown yet.

        Args:
          agent: whom to talk with. view: the terminal.
          seed: of the first conversation; each further one adds 1.
          user: who the person is; None asks.
          keeper: where the conversation is kept; None keeps it nowhere until she types save.
        """
        self.names = names_of(agent.data, agent.config.protocol.question)
        super().__init__(view, keeper or Keeper(None, partial(save_transcript, names=self.names)))
        self.agent, self.seed = agent, seed
        self.params = with_visitor(agent.params)
        self.name = agent_name(agent)
        self.visitor = agent.data.num_users
        self.fixed_user = self.user = user
        self.attribute = -1
        self.moments: list[Moment] = []
        self.messages: list[Message] = []
        self.suggestion: int | None = None
        self.num_ideas = 0

    # --- steps

    def warm_up(self) -> None:
        """Compiles both programs of a turn, so that every answer comes at once."""
        favourite = lookup.most_common(lookup.tag_counts(self.agent.data))[0]
        state, _ = open_chat(self.params, self.agent.spec, self.visitor, favourite, jax.random.key(self.seed))
        answer(self.params, self.agent.spec, state, Message("no"))

    def start(self, attribute: int) -> Reply:
        """Opens the conversation with one attribute.

        Raises:
          KgcrsError: no item has it.
        """
        user = self.visitor if self.user is None else self.user
        moment = Moment(*open_chat(self.params, self.agent.spec, user, attribute, jax.random.key(self.seed)))
        self.user, self.attribute, self.moments, self.messages = user, attribute, [moment], []
        self.suggestion = None
        return moment.reply

    def take(self, message: Message) -> Reply:
        """Answers the pending move.

        Raises:
          KgcrsError: the message does not fit the move.
        """
        moment = Moment(*answer(self.params, self.agent.spec, self.moments[-1].state, message))
        self.moments.append(moment)
        self.messages.append(message)
        return moment.reply

    @property
    def has_begun(self) -> bool:
        """Whether there was a first move."""
        return bool(self.moments)

    def transcript(self) -> Transcript:
        """The conversation so far, without what was taken back."""
        answers = [*self.messages, None]
        turns = tuple(Turn(moment.reply, said) for moment, said in zip(self.moments, answers, strict=True))
        assert self.user is not None  # noqa: S101 - there are moments only after a user was chosen
        return Transcript(self.name, self.seed, self.user, self.attribute, turns, versions())

    # --- the loop

    def run(self) -> None:
        """Talks until the person leaves or the input ends."""
        if not self.moments:
            greet(self)
        self.view.listen(self._hear)
        self.leave()

    def _hear(self, text: str) -> bool:
        """Handles a line; False when it was a goodbye."""
        if len(text) > LONGEST_LINE:
            raise KgcrsError(f"That is a long line: {LONGEST_LINE} characters are plenty here.")
        is_opening = self.user is not None and not self.moments
        is_tag = is_opening and " " in text and text in self.names.attributes
        command = None if is_tag else phrases.read_command(text)
        if command:
            return self._obey(*command)
        if self.user is None:
            choose_user(self, text)
        elif is_opening:
            self.view.show(self.start(opening_attribute(self, text)))
            self.autosave()
        elif self.moments[-1].reply.kind == "end":
            return self._after_end(text)
        else:
            self._answer(text)
        return True

    def _obey(self, command: str, argument: str) -> bool:
        if command == "undo":
            self._undo(argument)
        elif command == "save":
            self.begun()
            self.save_as(argument)
        elif command != "quit":
            asides.answer_aside(self, command, argument)
        return command != "quit"

    def begun(self) -> Moment:
        """Where the conversation stands; raises KgcrsError before it has begun."""
        if not self.moments:
            raise KgcrsError("We have not begun yet: first choose who you are, then name a tag.")
        return self.moments[-1]

    # --- answers

    def _answer(self, text: str) -> None:
        state, reply = self.moments[-1]
        move, children, below = state.thought.move, self.params.catalogue.question_attr, []
        if children.size and int(move.kind) == ASK:
            below = np.flatnonzero(children[int(move.question)]).tolist()
        message = phrases.read_message(text, reply, self.names.items, self.names.attributes, below)
        self.view.show(self.take(message))
        self.autosave()

    def _after_end(self, text: str) -> bool:
        if text.casefold() in ("no", "n", "nope", "quit"):
            return False
        if text.casefold() not in ("again", "a", "new") and not phrases.is_yes(text):
            raise KgcrsError("This conversation is over: type again for another one, undo, save or quit.")
        self.keeper.next_conversation()
        self.seed, self.user, self.moments, self.messages = self.seed + 1, self.fixed_user, [], []
        greet(self)
        return True

    def _undo(self, argument: str) -> None:
        if argument and not (argument.isdecimal() and int(argument)):
            raise KgcrsError(f"undo takes a number of answers, such as undo 2, not {phrases.quoted(argument)}.")
        if not self.moments:
            if self.user is None or self.fixed_user is not None:
                raise KgcrsError("There is nothing to take back.")
            self.user = None
            greet(self)
            return
        steps = min(int(argument or 1), len(self.moments))
        self.moments, self.messages = self.moments[:-steps], self.messages[: len(self.moments) - steps - 1]
        if not self.moments:
            self.messages = []
            self.view.say("Taken back: with which tag shall we begin?", style="magenta")
            return
        self.view.say(f"Taken back{f' {steps} answers' if steps > 1 else ''}.", style="magenta")
        self.view.show(self.moments[-1].reply)
        self.autosave()


def agent_name(agent: TrainedAgent) -> AgentName:
    """Fingerprints of a trained agent: of its settings, and of the parameters that speak."""
    parts = agent.params.tables, agent.params.active, agent.params.negative, agent.params.dqn
    return AgentName(agent.data.name, agent.fingerprint, tree_hash(parts)[:12])
