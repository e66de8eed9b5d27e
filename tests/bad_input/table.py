"""Bad inputs: `good.i` with one edit each, and what must be said about it.

The fault is expected in the first line that the edit changes, or else in the line that contains ``at``.
``says`` is a piece of the message and ``near`` the spelling that it must suggest.
"""

# ruff: noqa: E501 - rows of a table
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

GOOD = (Path(__file__).parent / "good.i").read_text()


END = "the last line"


@dataclass(frozen=True)
class Bad:
    name: str
    old: str
    new: str
    says: str
    near: str = ""
    at: str = ""
    also: tuple[str, str] | None = None  # a second edit
    file: str = "input.i"  # where the fault is
    files: dict[str, str] = field(default_factory=dict)  # other files beside the input

    @property
    def text(self) -> str:
        assert GOOD.count(self.old) == 1, f"{self.name}: '{self.old}' must occur once in good.i"
        text = GOOD.replace(self.old, self.new)
        return text.replace(*self.also) if self.also else text

    @property
    def line(self) -> int:
        lines = self.files.get(self.file, self.text).split("\n")
        if self.at == END:
            return len(lines) - 1
        if self.at:
            return 1 + next(i for i, line in enumerate(lines) if self.at in line)
        pairs = zip(lines, GOOD.split("\n"), strict=False)
        return 1 + next(i for i, (bad, good) in enumerate(pairs) if bad != good)


def number(name: str, text: str, says: str = "", near: str = "") -> Bad:
    """Something that is no number, where a number or a variable is expected."""
    return Bad(
        f"number_{name}", "yield_stress = 25", f"yield_stress = {text}", says or "is not a number", near
    )


def expression(name: str, text: str, says: str, near: str = "", at: str = "") -> Bad:
    """An expression that cannot be used, in a block that nobody refers to."""
    quoted = f"'''{text}'''" if "'" in text else f"'{text}'"
    block = f"[Tensors]\n  [extra]\n    type = Python\n    expr = {quoted}\n  []"
    return Bad(f"expression_{name}", "[Tensors]", block, says, near, at or "expr = " + quoted.split("\n")[0])


def history(name: str, text: str, says: str, at: str = "prescribed_SR2_values") -> Bad:
    """A load history that cannot be run."""
    old = "SR2(torch.linspace(0.0, 0.01, 6).reshape(6, 1) * torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0]))"
    return Bad(f"history_{name}", old, text, says, at=at)


def time(name: str, text: str, says: str) -> Bad:
    """Times that cannot be stepped through."""
    return Bad(f"time_{name}", "Scalar(torch.linspace(0.0, 1.0, 6))", text, says, at="prescribed_time")


def extra_model(name: str, text: str, says: str, near: str = "", at: str = "") -> Bad:
    """One model more, which nobody refers to."""
    return Bad(name, "[Models]", f"[Models]\n{text}", says, near, at or text.strip().split("\n")[0])


MISSPELT = [
    Bad("option", "exponent = 5", "exponnt = 5", "[Models/flow_rate] has no option 'exponnt'", "exponent"),
    Bad("type", "type = YieldFunction", "type = YieldFuntion", "unknown type", "YieldFunction"),
    Bad("type_of_another_section", "type = DenseLU", "type = YieldFunction", "belongs into [Models]"),
    Bad("section", "[Solvers]", "[Solver]", "no section 'Solver'", "Solvers"),
    Bad("type_key", "type = DenseLU", "tpye = DenseLU", "no parameter 'type'", "type"),
    Bad("driver_type", "type = TransientDriver", "type = TransientDrivr", "unknown type", "TransientDriver"),
    Bad("driver_option", "prescribed_time =", "prescribed_tme =", "no option 'prescribed_tme'", "prescribed_time"),
    Bad("solver_option", "max_its = 30", "maxits = 30", "no option 'maxits'", "max_its"),
    Bad("model", "model = 'model'", "model = 'modle'", "no [Models/modle]", "model"),
    Bad("submodel", "'update elastic_strain elasticity'", "'update elastic_strain elastcity'",
        "no [Models/elastcity]", "elasticity"),
    Bad("system", "equation_system = 'system'", "equation_system = 'sytem'", "no [EquationSystems/sytem]", "system"),
    Bad("solver", "solver = 'newton'", "solver = 'newtn'", "no [Solvers/newtn]", "newton"),
    Bad("linear_solver", "linear_solver = 'lu'", "linear_solver = 'luu'", "no [Solvers/luu]", "lu"),
    Bad("time", "prescribed_time = 'times'", "prescribed_time = 'timez'", "'timez'", "times"),
    Bad("history_name", "prescribed_SR2_values = 'strains'", "prescribed_SR2_values = 'strians'", "'strians'", "strains"),
    Bad("prescribed_variable", "prescribed_SR2_names = 'strain'", "prescribed_SR2_names = 'strian'", "'strian'", "strain"),
    Bad("initial_variable", "ic_Scalar_names = 'equivalent_plastic_strain'",
        "ic_Scalar_names = 'equivalent_plastic_strian'", "'equivalent_plastic_strian'", "equivalent_plastic_strain"),
    Bad("choice", "'VONMISES'", "'VONMISSES'", "not one of", "VONMISES"),
    Bad("choice_in_a_list", "'YOUNGS_MODULUS POISSONS_RATIO'", "'YOUNG_MODULUS POISSONS_RATIO'",
        "not one of", "YOUNGS_MODULUS"),
    Bad("unknown", "unknowns = 'plastic_strain ", "unknowns = 'plastic_strian ", "'plastic_strian' is no input", "plastic_strain"),
    Bad("residual", "residuals = 'plastic_strain_residual", "residuals = 'plastic_strain_residul",
        "'plastic_strain_residul' is no output", "plastic_strain_residual"),
    Bad("additional_output", "additional_outputs = 'plastic_strain'", "additional_outputs = 'plastic_strian'",
        "no model computes 'plastic_strian'", "plastic_strain"),
    Bad("connecting_input", "tensor = 'mandel_stress'", "tensor = 'mandel_stres'", "'mandel_stres'", "mandel_stress"),
    Bad("connecting_input_of_a_scalar", "isotropic_hardening = 'isotropic_hardening'",
        "isotropic_hardening = 'isotropic_hardning'", "'isotropic_hardning'", "isotropic_hardening"),
    Bad("connecting_output", "invariant = 'effective_stress'", "invariant = 'effective_stres'",
        "'effective_stress'", "effective_stres", at="[yield_surface]"),
    Bad("connecting_list", "from = 'strain plastic_strain'", "from = 'strain plastic_strian'", "'plastic_strian'", "plastic_strain"),
    Bad("wired_parameter", "yield_stress = 25", "yield_stress = 'effective_stres'", "nothing provides", "effective_stress"),
    Bad("brace", "exponent = 5", "exponent = ${Models/hardening/saturation_rat}", "no value",
        "Models/hardening/saturation_rate"),
]  # fmt: skip

NUMBERS = [
    number("unit", "1e3MPa", "write 1e3 without a unit"),
    number("unit_apart", "'25 MPa'", "'MPa' is not a number"),
    number("word", "fast", "nothing provides a variable of that name"),
    number("comma", "1,2", "separate numbers with blanks"),
    number("letter_o", "1O0", near="100"),
    number("overflow", "1e999", "not a finite number"),
    number("nan", "nan", "not a finite number"),
    number("inf", "inf", "not a finite number"),
    number("minus_infinity", "-infinity", "not a finite number"),
    number("underscore", "1_000"),
    number("hexadecimal", "0x10"),
    number("two_signs", "--5", "'--5'"),
    number("two_points", "25.0.0"),
    number("empty", "''", "is empty"),
    Bad("word_for_a_tolerance", "abs_tol = 1e-9", "abs_tol = tight", "is not a number"),
    Bad("fraction_for_a_count", "max_its = 30", "max_its = 3.5", "give an integer"),
    extra_model("word_for_a_flag", "  [e]\n    type = LinearIsotropicElasticity\n    coefficients = '1 0.3'\n"
                "    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'\n    compliance = yes\n  []",
                "give true or false", at="compliance = yes"),
]  # fmt: skip

RANGES = [
    Bad("poisson", "'64000.0 0.31'", "'64000.0 0.7'", "0.7, outside its range (-1, 0.5)"),
    Bad("negative_modulus", "'64000.0 0.31'", "'-64000.0 0.31'", "-64000, outside its range (0, inf)"),
    Bad("exponent", "exponent = 5", "exponent = 0", "outside its range (0, inf)"),
    Bad("tolerance", "abs_tol = 1e-9", "abs_tol = 1e10", "outside its range [0, 1e6]"),
    Bad("iterations", "max_its = 30", "max_its = 0", "outside its range [1, 100000]"),
    Bad("range_through_a_tensor", "reference_stress = 60", "reference_stress = 'times'",
        "0, outside its range (0, inf)"),
]  # fmt: skip

COUNTS = [
    Bad("too_few_weights", "weights = '1 -1'", "weights = '1 -1 1'", "got 3"),
    Bad("coefficients", "'64000.0 0.31'", "'64000.0'", "coefficient"),
    Bad("coefficient_types", "'YOUNGS_MODULUS POISSONS_RATIO'", "'YOUNGS_MODULUS'", "coefficient", at="coefficients ="),
    Bad("same_coefficient_twice", "'YOUNGS_MODULUS POISSONS_RATIO'", "'YOUNGS_MODULUS YOUNGS_MODULUS'", "twice"),
    Bad("names_without_values", "prescribed_SR2_names = 'strain'", "prescribed_SR2_names = 'strain stress'", "1 values for the 2 names", at="prescribed_SR2_values"),
    Bad("initial_values_without_names", "ic_Scalar_values = 'start'", "ic_Scalar_values = 'start start'", "2 values for the 1 names"),
    Bad("residuals", "residuals = 'plastic_strain_residual equivalent", "residuals = 'equivalent", "2 unknowns", at="unknowns ="),
    extra_model("five_components", "  [c]\n    type = SR2ConstantParameter\n    value = '1 2 3 4 5'\n  []",
                "5 numbers; a SR2 has 6", at="value = '1 2 3 4 5'"),
    Bad("two_names_for_one", "model = 'model'", "model = 'model update'", "name one block"),
    Bad("missing_option", "    exponent = 5\n", "", "[Models/flow_rate] needs the option 'exponent'", at="[flow_rate]"),
    Bad("missing_type", "    type = DenseLU\n", "", "no parameter 'type'", at="[lu]"),
    Bad("missing_time", "    prescribed_time = 'times'\n", "", "needs the option 'prescribed_time'", at="[driver]"),
    Bad("missing_expression", "expr = 'Scalar(0.001)'", "", "needs the option 'expr'", at="[start]"),
    Bad("forgotten_strain", "    prescribed_SR2_names = 'strain'\n    prescribed_SR2_values = 'strains'\n", "", "prescribe 'strain'", at="model = 'model'"),
]  # fmt: skip

HISTORIES = [
    history("nan", "SR2(torch.linspace(0.0, 0.01, 6).reshape(6, 1) * torch.tensor([1.0, torch.nan, 0, 0, 0, 0]))", "'strain' is nan at step 0"),
    history("inf", "SR2(torch.tensor([0, 1, 2, 3, torch.inf, 5]).reshape(6, 1) * torch.ones(6))", "'strain' is inf at step 4"),
    history("short", "SR2(torch.zeros(5, 6))", "5 steps"),
    history("without_steps", "SR2.fill(0.01, 0, 0, 0, 0, 0)", "no step axis"),
    history("five_components", "SR2(torch.zeros(6, 5))", "6", at="SR2(torch.zeros(6, 5))"),
    history("raw_of_wrong_shape", "torch.zeros(6, 5)", "6"),
    history("of_scalars", "Scalar(torch.zeros(6))", "is a Scalar"),
    Bad("batches_that_do_not_fit", "'Scalar(0.001)'", "'Scalar(torch.zeros(3))'", "does not fit the batch", at="ic_Scalar_values",
        also=("Scalar(torch.linspace(0.0, 1.0, 6))", "Scalar(torch.linspace(0.0, 1.0, 6).reshape(6, 1) * torch.ones(2))")),
    time("decreasing", "Scalar(torch.linspace(1.0, 0.0, 6))", "does not increase at step 1"),
    time("repeated", "Scalar(torch.tensor([0.0, 1, 2, 2, 3, 4]))", "does not increase at step 3"),
    time("nan", "Scalar(torch.tensor([0.0, 1, torch.nan, 3, 4, 5]))", "nan at step 2"),
    time("of_one_step", "Scalar(0.0)", "the time has shape ()"),
    time("of_tensors", "SR2(torch.zeros(6, 6))", "is a SR2"),
    Bad("initial_nan", "Scalar(0.001)", "Scalar(torch.tensor(torch.nan))", "'equivalent_plastic_strain' is nan", at="ic_Scalar_values"),
    Bad("number_for_a_tensor", "prescribed_SR2_values = 'strains'", "prescribed_SR2_values = '0.01'", "not a number"),
    Bad("tensor_of_another_type", "yield_stress = 25", "yield_stress = 'strains'", "is a SR2, but a Scalar is expected"),
    Bad("model_of_another_type", "yield_stress = 25", "yield_stress = 'elasticity'", "a SR2, but a Scalar is expected"),
    Bad("prescribed_output", "prescribed_SR2_names = 'strain'", "prescribed_SR2_names = 'stress'", "stress"),
    Bad("prescribed_state", "prescribed_SR2_names = 'strain'", "prescribed_SR2_names = 'plastic_strain'", "plastic_strain"),
]  # fmt: skip

STRUCTURE = [
    Bad("block_twice", "type = DenseLU\n  []", "type = DenseLU\n  []\n  [lu]\n    type = DenseLU\n  []", "[Solvers/lu] is defined twice"),
    Bad("option_twice", "exponent = 5", "exponent = 5\n    exponent = 6", "'exponent' was given before"),
    Bad("value_outside_a_block", "[Solvers]", "[Solvers]\n  tolerance = 1", "[Solvers] holds blocks", at="tolerance"),
    Bad("block_for_an_option", "exponent = 5", "[exponent]\n      value = 5\n    []", "is an option, not a block"),
    Bad("variable_computed_twice", "variable = 'plastic_strain'", "variable = 'equivalent_plastic_strain'", "equivalent_plastic_strain",
        at="models = 'elastic_strain elasticity mandel"),
    Bad("keyword_as_a_name", "  [lu]\n", "  [class]\n    type = DenseLU\n  []\n  [lu]\n", "keyword of Python"),
    Bad("model_in_itself", "models = 'update elastic_strain elasticity'", "models = 'update model elasticity'", "contains itself", at="  [model]"),
    extra_model("models_in_a_circle_of_blocks", "  [a]\n    type = ComposedModel\n    models = 'b'\n  []\n"
                "  [b]\n    type = ComposedModel\n    models = 'a'\n  []", "contains itself"),
    extra_model("models_in_a_circle_of_variables",
                "  [a]\n    type = ScalarLinearCombination\n    from = 'y'\n    to = 'x'\n  []\n"
                "  [b]\n    type = ScalarLinearCombination\n    from = 'x'\n    to = 'y'\n  []\n"
                "  [c]\n    type = ComposedModel\n    models = 'a b'\n  []", "->", at="models = 'a b'"),
    Bad("tensor_of_itself", "Scalar(0.001)", "start * 2", "refers to itself", at="[start]"),
    Bad("tensors_in_a_circle", "  [start]\n    type = Python\n    expr = 'Scalar(0.001)'",
        "  [start]\n    type = Python\n    expr = 'other * 2'\n  []\n  [other]\n    type = Python\n    expr = 'start / 2'",
        "refers to itself: start -> other -> start", at="[start]"),
    Bad("braces_in_a_circle", "exponent = 5", "exponent = ${Models/flow_rate/exponent}", "goes in a circle"),
    Bad("settings", "[Solvers]", "[Settings]\n  example_batch_shape = '2'\n[]\n[Solvers]", "parenthes", at="example_batch_shape"),
    Bad("unterminated_section", "    type = DenseLU\n  []\n[]", "    type = DenseLU\n  []", "the file ends inside [Solvers]", at=END),
    Bad("unterminated_quote", "linear_solver = 'lu'", "linear_solver = 'lu", "never closed"),
    Bad("value_missing", "exponent = 5", "exponent =", "'exponent' has no value"),
    Bad("colon_for_equals", "exponent = 5", "exponent: 5", "'exponent' is not followed by '='"),
    Bad("header_not_closed", "[flow_rate]", "[flow_rate", "header of this section is not closed"),
    Bad("header_of_two_words", "[flow_rate]", "[flow rate]", "expecting ']'"),
    Bad("section_closed_the_old_way", "  [flow_rate]", "  [../]\n  [flow_rate]", "with [], not with [../]"),
    Bad("one_closing_too_many", "[Solvers]", "[]\n[Solvers]", "unexpected []"),
    Bad("words_without_quotes", "weights = '1 -1'", "weights = 1 -1", "needs quotes"),
    Bad("deep_nesting", "[Solvers]", "[x]" * 65 + "[]" * 65 + "\n[Solvers]", "nested more than 64 deep"),
    Bad("nul", "exponent = 5", "exponent = 5\0", "remove it"),
    Bad("control_character", "exponent = 5", "exponent = 5\x1b[31m", "character"),
    Bad("include_outside", "[Solvers]", "!include ../../secret.i\n[Solvers]", "outside the folder"),
    Bad("include_missing", "[Solvers]", "!include solverz.i\n[Solvers]", "solverz.i", "solvers.i", files={"solvers.i": ""}),
    Bad("include_in_a_circle", "[Solvers]", "!include a.i\n[Solvers]", "goes in a circle: a.i -> b.i -> a.i", at="a.i", file="b.i", files={
        "a.i": "!include b.i\n", "b.i": "!include a.i\n"}),
    Bad("error_in_an_include", "[Solvers]", "!include a.i\n[Solvers]", "no option 'kk'", at="kk", file="a.i", files={
        "a.i": "[Models]\n  [k]\n    type = LinearIsotropicHardening\n    hardening_modulus = 1\n    kk = 2\n  []\n[]\n"}),
]  # fmt: skip

EXPRESSIONS = [
    expression("name", "toch.zeros(3)", "'toch'", "torch"),
    expression("function", "torch.linspce(0, 1, 3)", "'torch.linspce'", "linspace"),
    expression("of_another_block", "tmes * 2", "'tmes'", "times"),
    expression("syntax", "Scalar(1.0", "SyntaxError"),
    expression("no_tensor", "[1, 2, 3]", "gives a list, not a tensor"),
    expression("division", "Scalar(1 / 0)", "ZeroDivisionError"),
    expression("shapes", "torch.zeros(3) + torch.zeros(4)", "RuntimeError"),
    expression("import", "__import__('os').system('touch owned')", "__import__"),
    expression("attributes", "().__class__.__bases__[0].__subclasses__()", "__class__"),
    expression("open", "open('/etc/passwd').read()", "open"),
    expression("load", "torch.load('x.pt')", "torch.load"),
    expression("huge_tensor", "torch.zeros(10**12)", "elements"),
    expression("huge_integer", "Scalar(9**9**9)", "too large"),
    expression("huge_list", "Scalar([0.0] * 10**10)", "limit"),
    expression("endless", "Scalar([i for i in range(10**9)])", "limit"),
    expression("nesting", "(" * 500 + "1" + ")" * 500, "nested"),
    expression("recursion", "(lambda f: f(f))(lambda f: f(f))", "nested more than 200 deep"),
]

CSV = [
    Bad("csv_missing_file", "type = Python\n    expr = 'Scalar(0.001)'", "type = CSVScalar\n    csv_file = 'tabel.csv'\n    variable = 'x'",
        "tabel.csv", "table.csv", at="csv_file", files={"table.csv": "x\n1\n"}),
    Bad("csv_column", "type = Python\n    expr = 'Scalar(0.001)'", "type = CSVScalar\n    csv_file = 'table.csv'\n    variable = 'strss'",
        "no column 'strss'", "stress", at="csv_file", files={"table.csv": "stress\n1\n"}),
    Bad("csv_option", "type = Python\n    expr = 'Scalar(0.001)'", "type = CSVScalar\n    csv_flie = 'table.csv'",
        "no option 'csv_flie'", "csv_file", at="csv_flie", files={"table.csv": "stress\n1\n"}),
]  # fmt: skip

TABLE = [*MISSPELT, *NUMBERS, *RANGES, *COUNTS, *HISTORIES, *STRUCTURE, *EXPRESSIONS, *CSV]
