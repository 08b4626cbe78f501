"""What anyone would use instead: learners to compare with."""
