"""The simulated conversation once more, in plain Python: slow, and written from the rules' text alone.

`test_dialogue.py` replays the same decisions here and in the compiled environment. Sets and lists, one
session, no masks and no padding: a misreading would have to be made twice, in very different code, to go
unnoticed.
"""

from dataclasses import dataclass, field

PAY = {  # KGenSam Table 4; a failed last action earns `end` on top of its own reward.
    "cpr": dict(ask_yes=0.01, ask_no=-0.1, rec_yes=1.0, rec_no=-0.1, end=-0.3),
    "ask_more": dict(ask_yes=0.1, ask_no=-0.1, rec_yes=1.0, rec_no=-1.0, end=-0.3),
    "rec_more": dict(ask_yes=0.01, ask_no=-0.1, rec_yes=1.0, rec_no=-0.01, end=-0.3),
    "ear": dict(ask_yes=0.11, ask_no=0.01, rec_yes=1.01, rec_no=0.01, end=-0.3),
}


@dataclass
class Rules:
    """What the conversation is about and how it is played.

    attributes: attributes of each item. topics: attributes of each question; a question of one attribute is a
    yes/no question. prune: every attribute that the target turns out to lack removes the items that have it.
    """

    attributes: list[set[int]]
    topics: list[set[int]]
    prune: bool
    budget: int = 15
    enumerated: bool = False


@dataclass
class Conversation:
    """One session; `play` takes ("ask", question) or ("list", items)."""

    rules: Rules
    target: int
    opening: int
    takes: set[int]
    hidden_items: set[int] = field(default_factory=set)

    def __post_init__(self):
        assert self.opening in self.rules.attributes[self.target]
        self.accepted, self.rejected, self.refused = [self.opening], [], []
        self.asked = set() if self.rules.enumerated else {self.opening}
        self.history, self.won, self.rank = [1], False, 0
        self.candidates = {
            i for i, has in enumerate(self.rules.attributes) if self.opening in has and i not in self.hidden_items
        }

    @property
    def over(self):
        return self.won or len(self.history) >= self.rules.budget

    def may_ask(self, kind):
        """Questions not put yet: all; those some candidate affirms; those candidates answer differently."""
        questions = []
        for question in range(len(self.rules.topics)):
            answers = {frozenset(self.rules.attributes[i] & self.rules.topics[question]) for i in self.candidates}
            fine = {"all": True, "reachable": any(answers), "informative": len(answers) > 1}[kind]
            if question not in self.asked and fine:
                questions.append(question)
        return questions

    def play(self, move, argument, pay):
        """Returns the reward of one action, 0 once the session is over."""
        if self.over:
            return 0.0
        reward = self._ask(argument, pay) if move == "ask" else self._recommend(argument, pay)
        return reward + (pay["end"] if self.over and not self.won else 0.0)

    def _ask(self, question, pay):
        true_ones = self.rules.attributes[self.target]
        confirmed = sorted(self.rules.topics[question] & true_ones)
        denied = sorted(self.rules.topics[question] - true_ones)
        self.asked.add(question)
        self.accepted += [a for a in confirmed if a not in self.accepted]
        self.rejected += [a for a in denied if a not in self.rejected]
        self.candidates = {i for i in self.candidates if set(confirmed) <= self.rules.attributes[i]}
        if self.rules.prune:
            self.candidates = {i for i in self.candidates if not set(denied) & self.rules.attributes[i]}
        self.history.append(1 if confirmed else -1)
        return pay["ask_yes"] if confirmed else pay["ask_no"]

    def _recommend(self, items, pay):
        for place, item in enumerate(items, start=1):
            if item in self.takes:
                self.won, self.rank = True, place
                self.history.append(2)
                return pay["rec_yes"]
        self.candidates -= set(items)
        self.refused.append(list(items))
        self.history.append(-2)
        return pay["rec_no"]
