"""Meta-RF: random forests with settings and calibration learned across tasks."""
