"""The protocol of fitting and scoring the cycle model, committed before the first score was computed.

The question: how far is `cycles = a·fma + b·other + c·l2_miss` from published times of ncnn models on phone-class
cores, for models and for devices that the fit has not seen? docs/adr/0018-cycle-model.md says what was known before and
what, if anything, was tried after; this module does not change with the results.

Form. Cycles of a run are linear in three counts: fused multiply-add instructions (fma and dot), all other instructions,
and data lines that the second-level cache misses. No constant term; no coefficient is negative (an instruction cannot
give time back). Milliseconds = cycles / clock. One set of coefficients is fitted for each core.

Loss. The sum of |predicted/published − 1|: the mean of what is reported, and, unlike least squares, not ruled
by the few runs that are far off. It is convex: a linear program gives the exact optimum (`fitting.py`).

Published figure. The least of the runs (`ms_min_max_avg[0]`), not the average: the model speaks of an undisturbed core,
published loops are short (4 to 10 runs), and in three published figures the slowest run took more than 1.5 times the
fastest. Tails are not promised.

Counts. Each core is served by the counts of the kernels it runs: ncnn has paths for A53 and A55 (in order), for cores
without half precision (A57, A72, A73: counted on A72), and for those with it (A75 and later: counted on A76).
A core without published runs of its own takes the coefficients of its nearest relative and is labelled `transferred`.

Left out of fits and targets, each listed with its reason:
- Runs that the table marks with a `note`. They are scored apart, with coefficients that have not seen them.
- int8 models. `estimate` is for float32 graphs, and the published int8 runs are of different programs: for one core,
  the ratio of int8 to float time of the same model differs by up to 2.6 between devices (A73, mobilenet: 0.59 on one,
  1.5 on two others; A76, resnet18: 1.19 to 1.89), since ncnn's int8 kernels were rewritten between the runs, while the
  counts are of one version. So that this choice can be judged, everything is scored a second time with int8 models in
  both the fits and the scores; targets are not judged on that.
- Models without counts or without an x86 time: both ways are scored on the same points.
- Runs with more than one thread; figures that are not three positive, ordered, plausible numbers; cores that are
  unknown or mixed; devices with fewer than MIN_MODELS scoreable models.

Held-out models, the same device. A device's coefficients are fitted on one half of the models and scored on the other,
then the other way round; HALVINGS seeded random halvings of the list of models. A model is never in both halves.
Reported for each core over all held-out points of its devices: the median and the 90th percentile of
|predicted/published − 1|.

Unseen device. The coefficients are fitted on all models of the core's other devices and scored on the device, scaled by
clock only. Median, 90th percentile, and the share within a factor of WITHIN. Cores with one device have no such figure.
Neither seen: the same with halvings, so that both the model and the device are new. That is what `estimate` does, so it
is reported and shipped, though no target was set for it.
Transferred: the devices of each core in TRANSFER_TESTS, scored with the coefficients of the other core.

Baseline. Published time = x86 time × one constant, the constant fitted by the same loss on the same training points
(for an unseen device: constant cycles, scaled by clock), scored on the same test points.

Noise. For each two included devices of a core and each model both have published, |a/b − 1| of the clock-scaled times,
in both directions: what a perfect model of the core would still be off by when it is scored on another's run.

Targets. Held-out median ≤ 10% on each of TARGET_CORES; median for unseen devices ≤ 20% on each core that has two or
more; held-out median better than the baseline's on at least four of TARGET_CORES.
"""

from __future__ import annotations

from typing import Final

SEED: Final = 20260105
HALVINGS: Final = 50
MIN_MODELS: Final = 8  # a half then has about four models, for three coefficients
WITHIN: Final = 1.5
INT8_SUFFIX: Final = "_int8"

TARGET_CORES: Final = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a73", "cortex-a76", "cortex-a78")
HELD_OUT_TARGET: Final = 0.10
UNSEEN_TARGET: Final = 0.20
BETTER_THAN_BASELINE_TARGET: Final = 4


# How far a transfer is off, asked of cores that do have runs: (scored, whose coefficients).
TRANSFER_TESTS: Final = (
    ("cortex-a72", "cortex-a73"),
    ("cortex-a73", "cortex-a72"),
    ("cortex-a76", "cortex-a78"),
    ("cortex-a78", "cortex-a76"),
)
