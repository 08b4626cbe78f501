"""How long does it take, and how much memory: medshot beside other libraries and plain loops?"""
