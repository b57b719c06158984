"""The list of escapes is tried with what the integration tests are made with."""

# pylint: disable=unused-wildcard-import,wildcard-import,wrong-import-position
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from places import *
