"""Owns the verdict on pictures: both answers on kinds, masks and boxes, each a `Judgement` like the one on text.

Usable from: what `seen` holds in, a `Judgement` out. `leaked`: places, among the pictures kept aside, of those with a near copy or the same
patient among the learned. No sentence here says what a picture means for a person's health.
"""

from loralab.evaluations.images.boxes_judged import judge_boxes as judge_boxes  # noqa: PLC0414 - everybody takes it from here
from loralab.evaluations.images.classes_judged import judge_classes as judge_classes  # noqa: PLC0414 - likewise
from loralab.evaluations.images.masks_judged import judge_masks as judge_masks  # noqa: PLC0414 - likewise
