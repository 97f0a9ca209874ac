"""Files that people have, as documents of text: PDF, office formats, books, mail, notebooks, subtitles.

`sandbox` is the way in, from `daedal.data.readers`. It hands a file to a child process (`child`) with limits of time
and memory, which finds the reader of its format in `formats`. A reader is a function of a label, a stream that can
seek, its size and the encoding that the user named (or None); it gives the same events as all readers, and what it
raises loses only that file.
"""
