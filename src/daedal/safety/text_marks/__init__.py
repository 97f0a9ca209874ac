"""Watermarks of text: which tokens a key favours after which, and the exact probability that a text of nobody's looks so.

- `hashing`: from a key, the tokens before and a token to 64 bits, the same on every machine and device
- `scheme`: what all schemes share; `green_list`, `gumbel`, `tournament` and `kgw` are those that there are
- `text_mark`: a scheme with a key, which a request of the engine carries (`inference/marked_text.py` and
  `inference/marked_choice.py` heed it)
- `detection`: which marks a text carries, from its tokens alone; `tails` has the probabilities
"""
