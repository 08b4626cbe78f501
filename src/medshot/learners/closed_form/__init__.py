"""Learners that solve for their classifier in closed form."""
