"""Tasks: what a model is asked, how its answers are scored, and what comes of it beside baselines."""
