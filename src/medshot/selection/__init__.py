"""Choosing: of images to label, of learners and settings, by what past tasks taught."""
