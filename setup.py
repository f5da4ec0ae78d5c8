from setuptools import setup

setup()  # pyproject.toml tells the rest
