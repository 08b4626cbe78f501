"""Does preparing pages of electrocardiograms help?"""
