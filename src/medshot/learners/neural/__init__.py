"""Meta-NN: learners whose network compares or reads the support instead of taking gradient steps on it."""
