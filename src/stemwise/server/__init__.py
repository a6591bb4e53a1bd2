"""The studio's server: songs in by HTTP, separated by worker processes, listened to and mixed from there.

    schemas.py    what the interface says
    app.py        the application: routes, page, start and end
    guard.py      who may ask for anything at all
    uploads.py    a file from the network to the disk
    library.py    songs in the journal and in their folders
    jobs.py       the threads that have songs separated
    paces.py      how long songs take here with each model
    events.py     news for whoever watches
    songs.py      routes of songs; stems.py: routes of their sound
    state.py      what the routes share
    helper.py     processes for what opens sound; sound.py: what they do there

The server itself loads no torch, no numpy and no codec, and never opens a song: what a stranger has sent is
opened in processes that may crash.
"""

from stemwise.server.settings import Limits, Settings

__all__ = ["Limits", "Settings"]
