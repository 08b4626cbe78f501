"""Baselines: the usual alternatives to few-shot learners, to compare them with."""
