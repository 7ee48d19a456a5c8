"""Chats whose lines are typed by a test."""

import io


def talking(new_chat, monkeypatch):
    """talk(line, line, ..., seed=1): types the lines into a chat, a new one with these options unless one is given.

    Returns:
      The function; it returns (screen, chat).
    """

    def talk(*lines, chat=None, **options):
        chat = chat or new_chat(**options)
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        chat.run()
        return chat.view.console.file.getvalue(), chat

    return talk
