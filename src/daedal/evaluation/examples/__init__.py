"""Evaluators of models that learn examples with columns; a file each."""
