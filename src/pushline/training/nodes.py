"""ONNX written node by node."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

OPSET = 18
ML_OPSET = 3
IR_VERSION = 9


class Nodes:
    """A graph being written."""

    def __init__(self, prefix: str = "", behind: Any = None) -> None:
        """`behind`: the graph that it goes on from."""
        self.prefix = prefix
        self.nodes: list[Any] = list(behind.node) if behind else []
        self.constants: list[Any] = list(behind.initializer) if behind else []
        self._count = 0

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        from onnx import numpy_helper

        self._count += 1
        name = f"{self.prefix}constant_{self._count}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=kind), name))
        return name

    def strings(self, values: Sequence[str]) -> str:
        from onnx import TensorProto, helper

        self._count += 1
        name = f"{self.prefix}constant_{self._count}"
        self.constants.append(helper.make_tensor(name, TensorProto.STRING, [len(values)], [v.encode() for v in values]))
        return name

    def add(self, operator: str, inputs: Sequence[str], *, output: str = "", domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self._count += 1
        output = output or f"{self.prefix}{operator.lower()}_{self._count}"
        self.nodes.append(
            helper.make_node(operator, list(inputs), [output], domain=domain, name=f"{self.prefix}n{self._count}", **attributes)
        )
        return output

    def sum(self, values: Sequence[str]) -> str:
        return reduce(lambda total, value: self.add("Add", [total, value]), values)

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any], name: str = "matrix") -> Any:
        """The whole graph as a model, checked."""
        import onnx
        from onnx import helper

        from pushline import __version__

        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        sets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION, producer_name="pushline", producer_version=__version__)
        onnx.checker.check_model(model)
        return model


def floats(name: str, columns: int | None) -> Any:
    """An input or output of a graph: float32 [rows, columns]."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, columns])
