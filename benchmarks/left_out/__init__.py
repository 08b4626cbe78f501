"""Do features and choices learned across data sets help on data sets that were left out?"""
