"""What clients ask a model to do about a conversation: its title, tags, follow-up questions.

Documents hold no answer to these, whatever model the conversation is with.
"""

import re

_TASKS = re.compile(
    r"""
    \A\s*\#{3}\s*Task:.*(?:<chat_history>|\#{3}\s*(?:Chat\ History|Output|Guidelines))  # Open WebUI
    | \A(?:Please\ )?(?:generate|provide|write|create)\ a\ (?:concise|short|brief).{0,80}\ title
    | \ABased\ on\ the\ chat\ history,\ give\ this\ conversation\ a\ name
    | \A.{0,40}(?:总结|概括|生成|起).{0,30}(?:会话|对话|聊天).{0,60}标题
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def is_client_task(text: str) -> bool:
    r"""Return whether a message was written by a client, not by the person who chats.

    Example:
        >>> is_client_task("### Task:\nGenerate a title.\n### Chat History:\n…")
        True
        >>> is_client_task("合同的标题是什么？")
        False
    """
    return bool(_TASKS.search(text))
