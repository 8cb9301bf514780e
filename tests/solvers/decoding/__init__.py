"""Tests of choosing what comes next."""
