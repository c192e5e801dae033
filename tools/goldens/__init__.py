"""The official implementations, run: `tools/make_goldens.py` stores what they say, `tests/parity` reruns."""
