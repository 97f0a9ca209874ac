"""What a model of labels, answers, tags, pairs or masks must beat: simple predictors, a file each, with its paper."""
