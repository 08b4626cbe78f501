"""Meta-RF: random forests whose settings and calibration earlier tasks taught."""
