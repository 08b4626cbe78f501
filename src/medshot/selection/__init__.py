"""What past tasks teach about a new one: which learner, which settings, what to expect."""
