"""Medical pictures (DICOM) taken in without a trace of a person: what is kept is the picture, what it shows, and a few harmless entries.

    dicom     one file: its picture as it is looked at, and who it is of
    secret    names of patients as numbers that only this workspace can make
    scrubbed  words without names of people and files
    marked    how a folder that was taken in is known
    intake    a whole zip or folder, written under neutral names, with a receipt of what was removed

Invariant: the original is read, never written; no name, number, date or free text of it, and no name of its files, is in what is written.
"""
