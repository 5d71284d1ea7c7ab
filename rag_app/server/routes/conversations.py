"""The routes of the conversations about an index, and of what people thought of its answers."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from rag_app.index.store.conversations import Conversations, Rating, Turn
from rag_app.index.store.store import IndexStore
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import Registry
from rag_app.server.middleware.access import WRITE, sent_key
from rag_app.server.schemas.conversations import (
    ConversationId,
    ConversationInfo,
    ConversationList,
    Kept,
    NameBody,
    RatingBody,
    TurnBody,
    TurnId,
    TurnInfo,
    TurnList,
    Wanted,
)
from rag_app.server.schemas.indexes import IndexName
from rag_app.server.schemas.openapi import errors

router = APIRouter(prefix="/v1/indexes/{index}", tags=["Conversations"])
_LINE = '{"id": "rated-17e4a3", "question": "李白是怎样去世的？", "answers": ["在当涂病逝。"]}\n'


def _conversations(index: IndexName, request: Request, registry: Registry) -> Conversations:
    """Return the conversations of whoever sent the key; those of keys without a name are shared."""
    key, store = sent_key(request), registry.engine(index).store
    if not isinstance(store, IndexStore):  # it is elsewhere, with nothing of it here yet
        store.folder.mkdir(parents=True, exist_ok=True)
    return Conversations(store.folder, key.name if key else "")


KeptConversations = Annotated[Conversations, Depends(_conversations)]


@router.get("/conversations", responses=errors(400, 404, 503))
def list_conversations(conversations: KeptConversations, search: Wanted = "") -> ConversationList:
    """List the conversations about an index that this key kept, the latest first."""
    found = conversations.search(search)
    return ConversationList(data=[ConversationInfo(**vars(conversation)) for conversation in found])


@router.get("/conversations/{conversation}", responses=errors(404, 503))
def show_conversation(conversation: ConversationId, conversations: KeptConversations) -> TurnList:
    """Show the turns of a conversation; one that has not begun has none."""
    turns = conversations.turns(conversation)
    return TurnList(data=[TurnInfo(**vars(turn)) for turn in turns])


@router.patch("/conversations/{conversation}", responses=errors(400, 404, 413, 503))
def rename_conversation(
    conversation: ConversationId, body: NameBody, conversations: KeptConversations
) -> Kept:
    """Give a conversation another name; the first is its first question."""
    if not conversations.rename(conversation, body.name):
        raise ApiError(404, f"no conversation {conversation!r}", code="conversation_not_found")
    return Kept(id=conversation, kept=True)


@router.delete("/conversations/{conversation}", responses=errors(404, 503))
def delete_conversation(conversation: ConversationId, conversations: KeptConversations) -> Kept:
    """Delete a conversation, if it is there."""
    conversations.delete(conversation)
    return Kept(id=conversation, kept=False)


@router.put("/conversations/{conversation}/turns/{turn}", responses=errors(400, 404, 413, 503))
def keep_turn(
    conversation: ConversationId, turn: TurnId, body: TurnBody, conversations: KeptConversations
) -> Kept:
    """Keep a turn, in place of an earlier state of it or as the last of its conversation.

    Turns that others keep in the same conversation stay. One with its first turn begins here.
    """
    conversations.keep_turn(conversation, Turn(turn, **body.model_dump()))
    return Kept(id=turn, kept=True)


@router.delete("/conversations/{conversation}/turns/{turn}", responses=errors(404, 503))
def delete_turn(
    conversation: ConversationId, turn: TurnId, conversations: KeptConversations
) -> Kept:
    """Take a turn out of a conversation, if it is there; one without turns goes."""
    conversations.remove_turn(conversation, turn)
    return Kept(id=turn, kept=False)


@router.get(
    "/ratings/questions.jsonl",
    dependencies=[WRITE],
    response_class=Response,
    responses={
        **errors(404, 503),
        200: {"content": {"application/jsonl": {"schema": {"type": "string"}, "example": _LINE}}},
    },
)
def export_ratings(conversations: KeptConversations) -> Response:
    """Return the ratings that say what is right as questions for `rag-app eval`, a line each."""
    lines = (json.dumps(question, ensure_ascii=False) for question in conversations.questions())
    return Response("".join(f"{line}\n" for line in lines), media_type="application/jsonl")


@router.put("/ratings/{turn}", responses=errors(400, 404, 413, 503))
def rate(turn: TurnId, body: RatingBody, conversations: KeptConversations) -> Kept:
    """Keep what somebody thinks of an answer, in place of what they thought before."""
    conversations.rate(Rating(turn, **body.model_dump()))
    return Kept(id=turn, kept=True)


@router.delete("/ratings/{turn}", responses=errors(404, 503))
def take_back_rating(turn: TurnId, conversations: KeptConversations) -> Kept:
    """Forget what somebody thought of an answer."""
    conversations.take_back(turn)
    return Kept(id=turn, kept=False)
