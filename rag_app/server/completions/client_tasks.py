"""What clients ask of a model about a conversation: its title, a summary, the question meant."""

import re
from collections.abc import Sequence

from rag_app.server.schemas.chat import Message

_SYSTEM = ("system", "developer")
_CONVERSATION = r"(?:the|this|our|a)\ (?:chat|conversation|discussion|thread)\b"
_TASKS = re.compile(
    rf"""
    \A\s*\#{{3}}\s*Task:.*(?:<chat_history>
        |\#{{3}}\s*(?:Chat\ History|Output|Guidelines|Instructions))
    | <chat_?history>
    | \A(?:Please\ )?(?:generate|provide|write|create)\ a\ (?:concise|short|brief).{{0,80}}\ title
    | \A.{{0,100}}\b(?:generate|provide|write|create|give|reply\ with)\ an?\b
        .{{0,60}}\btitle\b.{{0,60}}\b{_CONVERSATION}
    | \A.{{0,100}}\bsummari[sz]e\ {_CONVERSATION}.{{0,30}}\btitle\b
    | \A.{{0,60}}\btitling\ assistant\b
    | \AAvailable\ Tools:.*\bJSON\b
    | \AYou\ have\ been\ provided\ with\ a\ set\ of\ responses\ from\ various\ models\b
    | \AYour\ task\ is\ to\ reflect\ the\ speaker's\b.{{0,60}}\bemoji\b
    | \ABased\ on\ the\ chat\ history,\ give\ this\ conversation\ a\ name
    | \A.{{0,60}}\bsummari[sz]e\b.{{0,80}}\bprompt\ for\ future\ context\b
    | \A.{{0,300}}\bstandalone\ (?:question|query)\b
    | \A[^：。]{{0,40}}(?:总结|概括|生成|起)[^：。]{{0,30}}(?:会话|对话|聊天)[^：。]{{0,60}}标题
    | \A[^：。]{{0,40}}(?:会话|对话|聊天)[^：。]{{0,20}}(?:总结|概括|生成|起)[^：。]{{0,20}}标题
    | \A.{{0,20}}返回这句话的简要主题
    | \A.{{0,100}}引导我继续提问
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""How such tasks begin: Open WebUI's, LobeChat's, those of LibreChat and others, NextChat's, Cherry
Studio's, chat-ui's, Chatbox's, aichat's, of LangChain's and LlamaIndex's chains, and in Chinese."""


def is_client_task(messages: Sequence[Message]) -> bool:
    r"""Return whether what is asked was written by a client, not by the person whose chat it is.

    Documents hold no answer to that, whatever model the conversation is with. A client says it in
    the last message or in one of the system's; an order of the system after an answer is one too.

    Example:
        >>> title = Message(role="user", content="### Task:\nA title.\n### Chat History:\n…")
        >>> is_client_task([title])
        True
        >>> is_client_task([Message(role="user", content="合同的标题是什么？")])
        False
    """
    *earlier, last = messages
    said = [message for message in earlier if message.role not in _SYSTEM]
    if last.role in _SYSTEM and said and said[-1].role == "assistant":
        return True
    orders = [message for message in earlier if message.role in _SYSTEM]
    return any(_TASKS.search(message.text) for message in (*orders, last))
