"""A setting no code reads is a promise nobody keeps: every field of every Plan is read by what trains, saves or measures."""

from __future__ import annotations

import ast
from functools import cache

from loralab.core.paths import CHECKOUT
from loralab.core.records import Plan, setting
from loralab.tasks import tasks

DECIDING = ("tasks", "planning")  # rooms that list, choose and estimate settings: what is read only there changes no run


def is_plan(value: ast.expr) -> bool:
    """Whether an expression is a plan by its name: plan, self.plan, base_plan."""
    name = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""
    return name == "plan" or name.endswith("_plan")


def reads(source: str) -> set[str]:
    """Settings that a module reads, of something called a plan or of itself in a method of a plan."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef(name=name) if name.endswith("Plan"):
                inner = [n for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
                found |= {n.attr for n in inner if isinstance(n.value, ast.Name) and n.value.id == "self"}
            case ast.Attribute(value=value, attr=name) if is_plan(value):
                found.add(name)
            case ast.Subscript(value=value, slice=ast.Constant(value=str(name))) if is_plan(value):
                found.add(name)
            case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(name)), *_]) if is_plan(value):
                found.add(name)
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str(name)), *_]) if is_plan(value):
                found.add(name)
            case _:
                pass
    return found


@cache
def read_anywhere() -> frozenset[str]:
    files = [path for path in (CHECKOUT / "loralab").rglob("*.py") if path.relative_to(CHECKOUT).parts[1] not in DECIDING]
    return frozenset().union(*(reads(path.read_text("utf-8")) for path in files))


def unread(plan: type[Plan]) -> list[str]:
    return sorted(set(plan.model_fields) - read_anywhere())


def test_every_setting_of_every_kind_is_read() -> None:
    assert {kind: left for kind, task in tasks().items() if (left := unread(task.plan))} == {}


def test_a_setting_that_nothing_reads_is_found() -> None:
    class HopefulPlan(Plan):
        spice: float = setting(0.5, "Makes it better.", group="learning", label="Spice")

    assert unread(HopefulPlan) == ["spice"]
    assert reads("self.plan.spice, plan['salt'], job.plan.get('pepper', 1), other.oil") - {"get"} == {"spice", "salt", "pepper"}
    assert reads("class P2Plan:\n    def f(self): return self.spice") == {"spice"}
