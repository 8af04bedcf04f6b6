"""What the app says about a run: rules find, statistics size, words explain. Invariant: works without a language model.

Reading order: findings (the nouns), case and signals (what a rule may look at), rules (one failure per file), diagnose (all rules, in
order), then what is done about it.
"""
