"""What measures of every kind share: paired statistics, the verdict and its gate, controls, answers, the local judge. No measure here."""
