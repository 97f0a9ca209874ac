"""Questions made of any text: paragraphs, what is named in them, and sentences with that cut out (Lewis et al. 2019).

text -> paragraphs -> sentences -> mentions -> cloze -> question, with its paragraph as context
        paragraphs.py              mentions.py  cloze.py            questions.py
"""
