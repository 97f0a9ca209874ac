"""Verification: who made a picture, a sound, a clip, a tune or a text, is it whole, and how sure is that.

- `artifact`: what is given, recognised by its bytes and decoded with care
- `evidence`: what each part may say, and the record of it
- `parts`: the parts: the signature, the watermark, the ledger, the detector of generated text
- `verdict`: what they say together
"""
