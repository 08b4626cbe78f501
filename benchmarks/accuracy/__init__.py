"""Which learner is most accurate on data sets that it was not trained on?"""
