"""Infers the shape of an expression from the shapes of the names that it reads, and finds mistakes in it.

It never computes a value and never raises. What is not known stays unknown, so every complaint is
certain. The names of a place are an argument: this module knows no sagas.
"""

from __future__ import annotations

from collections.abc import Sequence

from sagadsl.diagnostics.findings import Severity
from sagadsl.immutable import replace
from sagadsl.language.analysis import filter_types, slips
from sagadsl.language.analysis.complaints import (
    MAY_BE_MISSING,
    NEVER_COMPUTED,
    UNKNOWN_FIELD,
    UNKNOWN_NAME,
    WRONG_TYPE,
    Complaint,
    Guards,
    NamesOfPlace,
)
from sagadsl.language.analysis.types import (
    ANY,
    BOOLEAN,
    DECIMAL,
    INTEGER,
    NULL,
    NUMBER,
    TEXT,
    Shape,
    listing,
    of_data,
    outside,
    record,
    union,
    without_null,
)
from sagadsl.language.calls import Value
from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.code import Chain, chain_of, reads
from sagadsl.language.expressions.data import Path, shortened, step_text
from sagadsl.language.expressions.values import (
    Broken,
    Condition,
    Constant,
    Expression,
    Listing,
    Object,
    Text,
)
from sagadsl.language.suggest import listed


class Inference:
    """The inference of one value: it returns the shape of the value, and collects the complaints about it."""

    def __init__(self, names: NamesOfPlace, guards: Guards = ()) -> None:
        self._names = names
        self._guards = guards
        self._source = ""
        self._path: Path = ()
        self._heard: dict[Complaint, None] = {}

    def value(self, value: Value, path: Path = ()) -> Shape:
        """Return the shape of a value. It may contain expressions anywhere."""
        match value:
            case Constant(source=data):
                return of_data(data)
            case Expression(source=text, tree=tree):
                self._source, self._path = text, path
                self._braces_in_texts(tree)
                return outside(self._infer(tree))
            case Text(source=text, parts=parts) | Broken(source=text, parts=parts):
                for part in parts:
                    if isinstance(part, Expression):
                        self._source, self._path = text, path
                        self._braces_in_texts(part.tree)
                        self._joined(part.tree)
                # another check reports what cannot be parsed
                return TEXT if isinstance(value, Text) else ANY
            case Object(items=items):
                return record({key: self.value(item, (*path, key)) for key, item in items.items()})
            case Listing(elements=elements):
                shapes = [self.value(item, (*path, index)) for index, item in enumerate(elements)]
                return listing(union(shapes))
            case Condition(value=inner):
                shape = self.value(inner, path)
                self.expects(inner, shape, ("boolean",), "a condition must be true or false")
                return BOOLEAN
        return ANY

    def expects(self, value: Value, shape: Shape, kinds: tuple[str, ...], what: str) -> None:
        """Complain when a value of this *shape* can be of none of *kinds*; *what* says who needs these kinds."""
        if not shape.can_be(*kinds):
            tree = value.tree if isinstance(value, Expression) else None
            self._path = ()
            if isinstance(tree, nodes.Const) and isinstance(tree.value, str):
                help = f"without its quotes it is an expression: `{tree.value}`" if tree.value.strip() else ""
                text = shortened(slips.without_braces(self._source), 40)
                self.complain(WRONG_TYPE, f"{what}, but this is the text `{text}`, in quotes", help)
                return
            message = f"{what}, but {self._called(tree)} is {shape.said()}"
            self.complain(WRONG_TYPE, message, _CONVERT[kinds[0]], node=tree)

    def complain(
        self,
        code: str,
        message: str,
        help: str = "",
        *,
        node: nodes.Syntax | None = None,
        focus: str = "",
        severity: Severity = Severity.ERROR,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Keep a complaint about the text that is being looked at."""
        chain = None if node is None else chain_of(node)
        focus = focus or (written(chain, self._source) if chain is not None else "")
        found = Complaint(code, message, help, severity, focus, self._path, notes)
        self._heard.setdefault(found)

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """The complaints so far, without repetitions."""
        return tuple(self._heard)

    def _braces_in_texts(self, node: nodes.Syntax) -> None:
        """Warn of `'{{ input.name }}' == 'ann'`: a text of an expression is never computed, so this never holds."""
        for inner in slips.expressions_in_texts(node):
            chains = reads(inner.tree)
            if chains and all(chain[0] in self._names.names() for chain in chains):
                self.complain(
                    NEVER_COMPUTED,
                    f"a text of an expression is taken as it stands: `{inner.source}` in it is never computed",
                    f"write `{slips.without_braces(inner.source)}` without quotes and braces; `~` joins it to text",
                    focus=inner.source,
                    severity=Severity.WARNING,
                )

    def _called(self, node: nodes.Syntax | None) -> str:
        """Name an expression in a message."""
        chain = None if node is None else chain_of(node)
        return f"`{spelled_chain(chain)}`" if chain is not None else "this"

    def _infer(self, node: nodes.Syntax, soft: bool = False) -> Shape:
        chain = chain_of(node)
        if chain is not None:
            return self._chain(node, chain, soft)
        match node:
            case nodes.Name():
                return NULL
            case nodes.Const(value=value):
                return of_data(value)
            case nodes.Getattr(node=base, attr=str(key)):
                return self._field(node, self._infer(base, soft), key, "", soft)
            case nodes.Getitem(node=base, arg=key_node):
                return self._element(node, base, key_node, soft)
            case nodes.Filter() | nodes.Test():
                return filter_types.infer(self, node, soft)
            case nodes.CondExpr(test=test, expr1=then, expr2=otherwise):
                self._truth(test, "what stands between `if` and `else`")
                with_test = self._guarded(test)
                shapes = [with_test._infer(then, soft)]
                if otherwise is not None:
                    shapes.append(with_test._infer(otherwise, soft))
                return union(shapes)
            case _:
                return self._operation(node)

    def infer(self, node: nodes.Syntax, soft: bool = False) -> Shape:
        """Return the shape of an expression; *soft* when the expression may read missing values."""
        return self._infer(node, soft)

    def wants(self, node: nodes.Syntax, shape: Shape, kinds: tuple[str, ...], what: str) -> None:
        """Complain when an operand can be of none of *kinds*; *what* begins the sentence."""
        if not shape.can_be(*kinds):
            message = f"{what}, but {self._called(node)} is {shape.said()}"
            help = slips.TIME if kinds[0] == "number" and slips.is_moment(node) else _CONVERT[kinds[0]]
            self.complain(WRONG_TYPE, message, help, node=node)

    def attribute(self, node: nodes.Syntax, shape: Shape, attribute: str, soft: bool) -> Shape:
        """Return the shape of the value that ``attribute="a.b"`` reads in each element of a list."""
        for part in attribute.split("."):
            shape = self._field(node, shape, int(part) if part.isdecimal() else part, "each element", soft)
        return shape

    def _guarded(self, test: nodes.Syntax) -> Inference:
        """Return the same inference for a place that runs only after *test* has checked the names it reads."""
        inner = Inference(self._names, (*self._guards, *looked_at(test)))
        inner._source, inner._path, inner._heard = self._source, self._path, self._heard
        return inner

    def _is_guarded(self, chain: Chain) -> bool:
        """Whether a condition has checked what *chain* reads, or the step that it belongs to."""
        names = tuple(key for key in chain if isinstance(key, str))
        least = {"steps": 2, "step": 1}.get(names[0], len(names))
        return any(
            names[: len(guard)] == guard or guard[:least] == names[:least]
            for guard in self._guards
            if guard != ("steps",)
        )

    def _chain(self, node: nodes.Syntax, chain: Chain, soft: bool) -> Shape:
        soft = soft or self._is_guarded(chain)
        known = self._names.names()
        root = chain[0]
        if root not in known:
            self.complain(
                UNKNOWN_NAME,
                f"`{root}` is not known here",
                self._names.absent(str(root)) or f"the names here are {listed(known)}",
                focus=str(root),
            )
            return ANY
        shape, taken = known[str(root)], 1
        if root == "steps":
            shape, taken, complaints = self._names.step(chain, soft)
            for each in complaints:
                self._heard.setdefault(_at(each, self._path))
        label = spelled_chain(chain[:taken])
        for key in chain[taken:]:
            shape = self._field(node, shape, key, label, soft)
            label += step_text(key)
        return shape

    def _field(self, node: nodes.Syntax, shape: Shape, key: str | int, label: str, soft: bool) -> Shape:
        holder = f"`{label}`" if label else "this"
        if shape.nullable and not soft:
            self._may_be_null(node, label, f"{holder} may be null", _DEFAULT_HELP)
        shape = without_null(shape)
        holds = ("object",) if isinstance(key, str) else ("array", "string", "object")
        if not shape.can_be(*holds):
            what = "has no fields" if isinstance(key, str) else "has no elements"
            self.complain(
                UNKNOWN_FIELD, f"{holder} is {shape.said()}, which {what}", "read it as a whole", focus=str(key)
            )
            return ANY
        if not isinstance(key, str):
            return shape.element if shape.kinds == {"array"} else ANY
        return self._declared(shape, key, label, soft) if shape.kinds == {"object"} else ANY

    def _may_be_null(self, node: nodes.Syntax, label: str, message: str, help: str) -> None:
        code = self._names.null_code(label)
        severity = Severity.WARNING if code == MAY_BE_MISSING else Severity.ERROR
        focus = label if label in self._source else ""
        self.complain(code, message, help, node=node, focus=focus, severity=severity)

    def _declared(self, shape: Shape, key: str, label: str, soft: bool) -> Shape:
        holder = f"`{label}`" if label else "this"
        found = shape.field(key)
        if found is None:
            near = self._names.near(key, shape.fields)
            fields = listed(shape.fields)
            help = f"did you mean `{near}`?" if near else f"{holder} has {fields}" if shape.fields else _DECLARE_HELP
            self.complain(
                UNKNOWN_FIELD,
                f"{holder} has no field `{key}`",
                help,
                focus=written_key(key, self._source),
                notes=(f"{holder} has {fields}",) if near else (),
            )
            return ANY
        if shape.may_lack(key) and not soft:
            focus = written_key(key, self._source)
            self.complain(
                MAY_BE_MISSING,
                f"`{label or 'this'}{step_text(key)}` may be missing",
                _DEFAULT_HELP,
                focus=focus,
                severity=Severity.WARNING,
            )
        return found

    def _element(self, node: nodes.Syntax, base: nodes.Syntax, key: nodes.Syntax, soft: bool) -> Shape:
        holder = self._infer(base, soft)
        if isinstance(key, nodes.Slice):
            self.wants(base, without_null(holder), ("array", "string"), "only text and lists can be cut with `[a:b]`")
            for end in (key.start, key.stop, key.step):
                if end is not None:
                    self._infer(end)
            return part_of(holder)
        self._infer(key)
        if isinstance(key, nodes.Const) and isinstance(key.value, str | int):
            return self._field(node, holder, key.value, "", soft)
        return without_null(holder).element if holder.kinds == {"array"} else ANY

    def _truth(self, node: nodes.Syntax, what: str) -> None:
        self.wants(node, self._infer(node), ("boolean",), f"{what} must be true or false")

    def _joined(self, node: nodes.Syntax) -> None:
        """Judge an expression whose value becomes part of a text."""
        shape = self._infer(node)
        self.wants(node, shape, ("string", "number", "boolean"), "text can hold text, numbers and booleans")
        chain = chain_of(node)
        if shape.nullable and shape.kinds != {"null"} and not (chain and self._is_guarded(chain)):
            message = f"{self._called(node)} may be null, which cannot stand inside text"
            self._may_be_null(node, spelled_chain(chain), message, 'say what to write then: `| default("-", true)`')

    def _operation(self, node: nodes.Syntax) -> Shape:
        match node:
            case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
                sign = "and" if isinstance(node, nodes.And) else "or"
                self._truth(left, f"each side of `{sign}`")
                self._guarded(left)._truth(right, f"each side of `{sign}`")
                return BOOLEAN
            case nodes.Not(node=inner):
                self._truth(inner, "what stands after `not`")
                return BOOLEAN
            case nodes.Neg(node=inner) | nodes.Pos(node=inner):
                shape = self._infer(inner)
                self.wants(inner, shape, ("number",), f"`{node.operator}` needs a number")
                return DECIMAL if "decimal" in shape.kinds else NUMBER
            case nodes.BinExpr(left=left, right=right):
                return self._arithmetic(node.operator or "", left, right)
            case nodes.Compare(expr=first, ops=operands):
                self._comparison(first, operands)
                return BOOLEAN
            case nodes.Concat(nodes=parts):
                for part in parts:
                    self._joined(part)
                return TEXT
            case nodes.List(items=items) | nodes.Tuple(items=items):
                shapes = [self._infer(item) for item in items]
                return listing(union(shapes) if shapes else ANY)
            case nodes.Dict(items=pairs):
                return self._object(pairs)
        return ANY

    def _object(self, pairs: Sequence[nodes.Pair]) -> Shape:
        fields: dict[str, Shape] = {}
        computed = False
        for pair in pairs:
            shape = self._infer(pair.value)
            if isinstance(pair.key, nodes.Const):
                fields[str(pair.key.value)] = shape
            else:
                self.wants(pair.key, self._infer(pair.key), ("string",), "the keys of an object must be text")
                computed = True
        return Shape(frozenset(("object",))) if computed else record(fields)

    def _arithmetic(self, sign: str, left: nodes.Syntax, right: nodes.Syntax) -> Shape:
        one, other = self._infer(left), self._infer(right)
        if sign == "+":
            for kind_ in ("string", "array"):
                if (one.kinds == {kind_} and other.can_be(kind_)) or (other.kinds == {kind_} and one.can_be(kind_)):
                    if slips.is_moment(left) and slips.is_length(right):
                        said = "`+` joins these two texts, it does not compute a later moment"
                        self.complain(WRONG_TYPE, said, slips.TIME, node=left, severity=Severity.WARNING)
                    return TEXT if kind_ == "string" else listing(union([one.element, other.element]))
            if one.kinds and other.kinds and not (one.can_be("number") and other.can_be("number")):
                message = f"`+` cannot add {one.said()} and {other.said()}"
                help = slips.TIME if slips.is_moment(left) or slips.is_moment(right) else "`~` joins anything to text"
                self.complain(WRONG_TYPE, message, help, node=left)
                return ANY
            return _sum_of(one, other) if one.kinds and other.kinds else ANY
        if sign == "*" and one.kinds == {"string"}:
            self.wants(right, other, ("integer",), "text is repeated a whole number of times")
            return TEXT
        for node, shape in ((left, one), (right, other)):
            self.wants(node, shape, ("number", "string") if sign == "*" else ("number",), f"`{sign}` needs numbers")
        whole = sign not in ("/", "**") and one.kinds == {"integer"} == other.kinds
        return INTEGER if whole else _sum_of(one, other)

    def _comparison(self, first: nodes.Syntax, operands: Sequence[nodes.Operand]) -> None:
        node, shape = first, self._infer(first)
        for operand in operands:
            other = self._infer(operand.expr)
            match operand.op:
                case "eq" | "ne":
                    self._equality(node, shape, operand.expr, other)
                case "in" | "notin":
                    self.wants(operand.expr, other, ("string", "array", "object"), "`in` looks into lists and text")
                case _:
                    self._order(node, shape, operand.expr, other)
            node, shape = operand.expr, other

    def _equality(self, left: nodes.Syntax, one: Shape, right: nodes.Syntax, other: Shape) -> None:
        """Warn when two values can never be equal: the comparison is allowed, but nearly always a mistake."""
        for node, shape, far in ((left, one, other), (right, other, one)):
            if far.kinds and not shape.can_be(*far.kinds) and chain_of(node) is not None:
                message = f"{self._called(node)} is {shape.said()}, so it never equals {far.said()}"
                self.complain(WRONG_TYPE, message, _EQUAL_HELP, node=node, severity=Severity.WARNING)
                return
            texts = [choice for choice in shape.choices if isinstance(choice, str)]
            if any("{{" in text for text in texts):
                return  # `_braces_in_texts` has said what is wrong
            if shape.choices and len(far.choices) == 1 and far.choices[0] not in shape.choices:
                near = self._names.near(str(far.choices[0]), texts)
                values = ", ".join(f"`{choice}`" for choice in shape.choices[:12])
                message = f"{self._called(node)} is never `{far.choices[0]}`"
                help = f"did you mean `{near}`?" if near else f"it is one of {values}"
                focus = str(far.choices[0])
                self.complain(WRONG_TYPE, message, help, node=node, focus=focus, severity=Severity.WARNING)
                return

    def _order(self, left: nodes.Syntax, one: Shape, right: nodes.Syntax, other: Shape) -> None:
        for node, shape in ((left, one), (right, other)):
            self.wants(node, shape, ("number", "string"), "only numbers and text have an order")
        for kind_ in ("number", "string"):
            if not one.can_be(kind_) and not other.can_be("string" if kind_ == "number" else "number"):
                message = f"{one.said()} and {other.said()} have no order between them"
                if one.can_be("number", "string") and other.can_be("number", "string"):
                    converted = "convert one of them with `| int` or `| string`"
                    help = slips.TIME if slips.is_moment(left) or slips.is_moment(right) else converted
                    self.complain(WRONG_TYPE, message, help, node=left)


def _sum_of(one: Shape, other: Shape) -> Shape:
    return DECIMAL if "decimal" in one.kinds | other.kinds else NUMBER


_DEFAULT_HELP = "say what to take then: `| default(…)`"
_CONVERT = {
    "array": "give it a list, e.g. `[a, b]`, or the output of a loop",
    "boolean": "compare it with something, e.g. `x == 'yes'`; `| bool` converts text",
    "integer": "`| int` converts text",
    "number": "`| int` and `| float` convert text",
    "object": "give it an object, e.g. `{'name': value}`",
    "string": "`| string` converts numbers, `| to_json` lists and objects",
}
_DECLARE_HELP = "nothing declares it"
_EQUAL_HELP = "convert one of them with `| int` or `| string`, or compare with a value of the same type"


def looked_at(node: nodes.Syntax) -> Guards:
    """Return the chains that a condition checks. Chains inside `default` do not count: it hides missing values."""
    if chain_of(node) is not None:
        return reads(node)
    if isinstance(node, nodes.Filter) and node.name in ("default", "d"):
        return ()
    return tuple(chain for child in node.children() for chain in looked_at(child))


def part_of(shape: Shape) -> Shape:
    """Return the shape of a part of a value: it has the same kind, but may hold other data than the whole value."""
    return Shape(shape.kinds - {"null"}, items=shape.items)


def spelled_chain(chain: Chain | None) -> str:
    """Return a chain as people write it with dots."""
    return "" if not chain else str(chain[0]) + "".join(map(step_text, chain[1:]))


def written(chain: Chain, source: str) -> str:
    """Return the part of a text to underline for a chain: the whole chain if the text contains it, or its last key."""
    whole = spelled_chain(chain)
    return whole if whole in source else written_key(chain[-1], source)


def written_key(key: str | int, source: str) -> str:
    """Return a key as the part of a text to underline; empty if the text does not contain it."""
    return str(key) if str(key) in source else ""


def _at(complaint: Complaint, path: Path) -> Complaint:
    return replace(complaint, path=path)
