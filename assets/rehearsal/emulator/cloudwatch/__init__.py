"""Evaluates alarms as CloudWatch does, independent of MiniStack and of any clock.

`metrics` makes data points of what was measured, `expressions` does metric math, `states` judges the data points of an
evaluation range, `alarm` reads a definition and puts the three together.
"""
