"""Which image should be labelled next (active learning)?"""
