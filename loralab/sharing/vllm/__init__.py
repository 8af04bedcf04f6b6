"""Owns the folder from which vLLM serves deployments of one base to many people at once, and the checker that lies in it.

Invariant: a deployment is asked under the same id there as here; what is written was not run by vLLM, which the folder says itself.
"""
