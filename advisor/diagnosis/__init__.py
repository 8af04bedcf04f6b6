"""From a plan or a run to findings: the case, signals of its curves, all rules asked, preflight, limits."""
