"""Training: one configuration, one visible loop, a state that resumes the same run.

config.py, sections.py   what a run is
compose.py, spleeter.py  how it comes to be described: a file, songs alone, Spleeter's JSON
sources.py, loader.py    songs, and the examples of every step
objective.py             what the network is trained on
loop.py, step.py         the loop, and one step of it
state.py, finetune.py    what a run has come to, and what it starts from
validation.py            how well it separates songs that it does not learn from
folder.py, board.py      what it leaves on disk and shows in TensorBoard
export.py                the model for others, Spleeter included
distributed.py           several processes
"""
