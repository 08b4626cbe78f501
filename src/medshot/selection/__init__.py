"""Selection: learn from past tasks to choose learners, to choose images to label, and to forecast accuracy."""
