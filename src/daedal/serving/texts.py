"""The routes of everything that reads or writes text, or what stands in its place: items."""

from daedal.serving import (
    chat,
    classifications,
    completions,
    embeddings,
    inference_api,
    messages,
    moderations,
    rankings,
    recommendations,
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
    *recommendations.routes,
    *inference_api.routes,
    *messages.routes,
    *moderations.routes,
    *tokens.routes,
]
