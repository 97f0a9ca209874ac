"""The routes of everything that reads or writes text."""

from daedal.serving import (
    chat,
    classifications,
    completions,
    embeddings,
    inference_api,
    messages,
    moderations,
    rankings,
    responses,
    tokens,
)

routes = [
    *chat.routes,
    *completions.routes,
    *responses.routes,
    *embeddings.routes,
    *classifications.routes,
    *rankings.routes,
    *inference_api.routes,
    *messages.routes,
    *moderations.routes,
    *tokens.routes,
]
