"""Meta-GD: learners that adapt by gradient steps, METAL among them."""
