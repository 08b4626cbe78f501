"""Formats of volumes: what each header says, judged before memory is taken for what it promises."""
