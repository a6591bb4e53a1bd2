"""Synthesizers of our own: a patch is drawn from families of sounds, then plays notes.

No two songs need share a patch. `draw_patch` knows the roles bass, lead, pad, keys, organ, kit and fx.
"""

from synth.families import FAMILIES
from synth.patch import Patch, draw_patch

__all__ = ["FAMILIES", "Patch", "draw_patch"]
