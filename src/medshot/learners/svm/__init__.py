"""Meta-SVM: support vector machines on what earlier tasks taught."""
