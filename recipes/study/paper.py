"""What the paper reports: Prétet et al., ICASSP 2019, arXiv 1906.02618, tables 2 and 3.

Voice SDR, SIR, SAR, then those of the instruments: museval, median over seconds, dB.
"""

COLUMNS = ("V-SDR", "V-SIR", "V-SAR", "I-SDR", "I-SIR", "I-SAR")

Row = tuple[float, float, float, float, float, float]

# Table 2, trained and tested on MUSDB
AUGMENTATIONS: dict[str, Row] = {
    "baseline": (4.32, 12.62, 4.10, 10.65, 13.46, 11.51),
    "filter": (3.90, 13.35, 3.33, 10.27, 12.57, 11.66),
    "remix": (3.75, 12.89, 3.60, 10.45, 11.81, 12.05),
    "swap": (4.37, 13.01, 4.08, 10.69, 13.08, 11.74),
    "shift": (4.00, 15.30, 3.50, 10.58, 12.46, 12.11),
    "scale": (4.05, 12.60, 3.64, 10.68, 12.38, 11.85),
    "stretch": (4.19, 13.44, 3.57, 10.96, 12.76, 12.09),
    "combined": (3.76, 13.86, 3.30, 10.48, 12.35, 11.72),
}

# Table 3, tested on MUSDB, without augmentation
TRAINING_SETS: dict[str, Row] = {
    "MUSDB, 2 stems": (4.32, 12.62, 4.10, 10.65, 13.46, 11.51),
    "MUSDB, 4 stems": (4.44, 12.26, 4.20, 10.61, 13.70, 11.48),
    "Catalog A": (4.20, 7.60, 7.44, 10.47, 12.84, 12.03),
    "Catalog B": (4.34, 8.04, 7.05, 10.60, 12.80, 12.12),
    "Bean": (5.71, 14.82, 5.19, 11.99, 16.04, 12.21),
}
