"""The routes of everything that reads or writes text."""

from daedal.serving import chat, completions, embeddings, messages, moderations, responses, tokens

routes = [
    *chat.routes,
    *completions.routes,
    *responses.routes,
    *embeddings.routes,
    *messages.routes,
    *moderations.routes,
    *tokens.routes,
]
