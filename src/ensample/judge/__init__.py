"""Honesty: measures of real against made records, the leaderboard, the report."""
