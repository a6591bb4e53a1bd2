"""How well a separator does on songs whose stems are known: songs in, a table out.

songs        what is compared: references, mixture, estimates, paired by name
scores       the metrics, and one song's scores
oracle       the best that masks can do
run          every song of a data set, one after the other
table        scores of all songs, and what they come to
statistics   bootstrap and paired t-test
record       the files of a run: written, and read again
report       a run as Markdown
"""

from stemwise.evaluate.record import Record, read_record, write_museval, write_record
from stemwise.evaluate.run import evaluate, evaluate_files, write_estimates
from stemwise.evaluate.scores import DEFAULT_METRICS, METRICS, Score, parse_metrics
from stemwise.evaluate.songs import trained_on
from stemwise.evaluate.statistics import PairedTest, bootstrap_interval, paired_t_test
from stemwise.evaluate.table import EvaluationTable, Summary, compare

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "EvaluationTable",
    "PairedTest",
    "Record",
    "Score",
    "Summary",
    "bootstrap_interval",
    "compare",
    "evaluate",
    "evaluate_files",
    "paired_t_test",
    "parse_metrics",
    "read_record",
    "trained_on",
    "write_estimates",
    "write_museval",
    "write_record",
]
