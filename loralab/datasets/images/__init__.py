"""Pictures as examples: from a zip, a folder or a table of labels to what is to be learned. `door` is the way in, for app and workers.

    opened      any picture as upright RGB, and masks as numbers
    place       the files there are; zips are unpacked once, safely
    facts       size, hash and brightness of every picture, remembered
    formats/    how labels are written down: one file per way
    reading     which of them it is, and what it gives
    likeness    near copies; groups: the same patient or source
    parts       what is learned from, watched and held out
    checks/     the doctor for pictures: one file per check
    clinic/     medical pictures, without a trace of a person

Invariant: every picture that is read is kept, or left out with a reason; so is every box.
"""
