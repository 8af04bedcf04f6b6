"""Files of examples to Examples.

A file goes top to bottom through this room: `loading` -> `readers` (with `formats`) -> `tables` (what columns mean; with
`conversations`) -> `examples` -> `dataset` (the split) -> `profile` (with `checks` and `account`); `large` does it piece by piece.
"""
