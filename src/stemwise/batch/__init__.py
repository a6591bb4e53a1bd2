"""Catalogues: many songs, planned, separated by workers, journalled, verified and reported.

catalogue    which songs there are             folder, pattern, manifest, URL → Entry
settings     what is to be made of them        options, models → parameters of each song
enlist       both into the journal             only what is missing or was made otherwise is queued
run          the journal through an executor   claims, back-off, one word when all fails
song         one song, wherever it is done     fetch → separate → hash → publish
local        the executor of one machine       worker processes, and threads for what waits
address      where a Ray cluster is
room         for how many workers it has room
cluster      the executor of many machines     `seat`: what runs on each node
plan         what it will take                 headers, a short calibration
manifest, report, verify                       what came of it
"""
