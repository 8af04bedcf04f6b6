"""Owns making a data set: from documents (extracted, without a language model) and from a few examples (written by one the person has).

passages/ documents as sections and passages, read in a bounded process; makers/ rows that quote a document, a file each; gates/ what a row
must pass, a file each; search/ and graph/ what the documents are about; writers/ what is asked of a language model; domains: their words.
Invariants: every row says where it is from; held-out rows are set apart by source before anything is written and never synthetic; every
row that was made is either in the result or in the bin with its reason, and the counts add up.
"""
