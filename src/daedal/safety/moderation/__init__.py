"""Moderation: which texts are not for a server to read or to write, by rules of words and patterns and by a classifier of the
user's own. `rules` finds, `verdict` decides; `serving/moderated.py` holds back what is being written until it was judged."""
