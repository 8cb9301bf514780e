"""Learned worlds; without gymnasium there are none to test."""

import pytest

pytest.importorskip("gymnasium", reason="learned worlds are environments of gymnasium: pip install 'ensample[gym]'")
