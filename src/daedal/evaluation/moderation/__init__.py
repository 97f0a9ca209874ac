"""What moderation refuses that it need not, and what a model writes that moderation flags."""
