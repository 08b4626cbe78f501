"""Measurements behind the numbers in the documentation, one folder per question; README.md lists them."""
