"""How a model leans: what it takes for likelier of two groups of people, and whether it treats them alike.

    sets        bbq.py, crows.py, stereoset.py   the field's sets, read from the user's files: none is shipped
    own         probes.py, swaps.py              a small set of our own, so that a model says something at once
    decisions   groups.py                        classifiers, reward models, recommenders, by a column of a file
    pictures    pictures.py                      does "a circle" have the colours of the data, or fewer?

`measure.py` picks those that a model can be asked and makes the report. Every score is an association between words, measured
on the templates at hand; none says what a person suffers by it (`docs/bias.md`).
"""
