"""Runs Glue's jobs: Spark scripts in local Spark, Python shell jobs as plain processes.

Knows neither MiniStack nor HTTP: `emulator.ministack.glue` connects it to the service's calls.
"""
