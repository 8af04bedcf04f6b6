"""The Hugging Face Hub, both ways, and galleries of adapters that need no Hub.

    account       whose account it is: a token kept in the keyring or in a file for its owner's eyes
    sign_in       signing in with a code on the Hub's own page (RFC 8628)
    talk          the Hub's refusals as sentences
    card          the card of a repository: its head held against its type, its words from the export's own
    review        what would be published: which files, and what of private data stands in its words
    publish_job   the worker that puts it there
    visibility    making it public, once a person has seen what that shows
    index         a folder of adapters with an index file, which anybody can host
    gallery       adapters for the models of this computer, from the Hub or such a folder

Invariants: private first; only files on a list leave; a token is in no plan, event, log, report or file but the one that keeps it.
"""
