"""Daedal: from your own files to a generative model that is trained, measured and ready to use."""

__version__ = "0.1.0"
