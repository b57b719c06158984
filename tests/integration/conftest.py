"""What these tests share with others that run clade."""

# pylint: disable=unused-wildcard-import,wildcard-import
from places import *
