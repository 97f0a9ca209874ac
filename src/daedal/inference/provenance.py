"""Where an artifact comes from: what every kind of them tells, and with its own facts the record that is saved with it."""

from daedal.config import Config


class Provenance(Config):
    """With a model of these weights and these facts it can be made again.

    Attributes:
        model: the name that the model was opened by.
        fingerprint: SHA-256 of its weights.
        version: of Daedal.
    """

    model: str
    fingerprint: str
    version: str
