"""Measures of answers beside what is right, without any model: a file each, with its paper."""
