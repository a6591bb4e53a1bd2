"""Every tolerance of the tests, with its reason."""

# The real Spleeter computes in float32 on another FFT and other convolutions: -100 dBFS on the waveform.
SPLEETER_PARITY = 1e-5
# Sums of a handful of float32 numbers below 1 in another order.
FLOAT_ROUNDING = 2e-6
# A float32 transform there and back.
ROUND_TRIP = 1e-5
# The stems of our own models against the mixture (the promise made to users).
STEMS_SUM = 1e-5
# Convolutions of a batch are summed in another order than those of one; magnitudes here reach 10.
BATCH = 1e-4
# museval's ratios are printed and quoted to a hundredth of a decibel; ours differ by 1e-5 and less.
MUSEVAL_DB = 0.01
