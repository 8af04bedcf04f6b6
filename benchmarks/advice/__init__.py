"""The advisor's judge: what its first advice does, against what the best of all remedies does, all of them really trained."""
