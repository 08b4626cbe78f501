"""Meta-SVM: support vector machines with features or settings learned across tasks."""
