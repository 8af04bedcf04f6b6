"""LabFail: real trainings with injected causes, and what the advisor says about them."""
