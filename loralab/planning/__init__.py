"""From a data set, a model and a machine to a Plan: choices with reasons, memory, time, and whether it fits."""
