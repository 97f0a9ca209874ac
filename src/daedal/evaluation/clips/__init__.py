"""Evaluators of models of clips, and what they measure."""
