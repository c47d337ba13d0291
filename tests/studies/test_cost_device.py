"""What a device holds and exchanges: against the graphs that Mesh itself lowers, and a real run."""

import collections
import contextlib

import mesh_tensorflow as mtf
import numpy as np
import pytest
import quick_graphs
import tensorflow.compat.v1 as tf

from mtf_synthesizer.config.request import Request, for_training
from mtf_synthesizer.studies.cost.device import (
    communication,
    liveness,
    measure,
    one_device,
    training_step,
)
from mtf_synthesizer.studies.cost.device.communication import Collective, Traffic
from mtf_synthesizer.studies.cost.device.layout import parse
from mtf_synthesizer.studies.cost.device.one_device import Slice
from mtf_synthesizer.upstream.session import configured

SMALL = ("num_layers = 1", "inputs_length = 8", "targets_length = 8", "batch_size = 8")
SPLIT = "batch:batch;heads:model;d_ff:model;vocab:model"
ONE_HOT = "get_vocab_embedding_cls.cls = @VocabEmbedding"
CLIPPED = "ClippedOptimizer.max_norm = 1.0"
IN_PARTS = "serialize_num_microbatches.tokens_per_microbatch_per_replica = 8"
WORDS = 128


@pytest.fixture
def whole_graphs():
    """The peak is that of an order of all operations."""
    with quick_graphs.every_constant():
        yield


@contextlib.contextmanager
def wanted_step(synthesizer, mesh_shape, layout, params=(), on_tpu=False, rows=None):
    """Under its gin configuration, what a step of a tiny model is built from, and the mesh."""
    request = Request(
        task="none", synthesizer=synthesizer, size="tiny", gin_params=[*SMALL, *params]
    )
    wanted = for_training(request)
    with configured(measure.as_on_tpu(wanted) if on_tpu else wanted, False):
        plan = parse(mesh_shape, layout)
        yield measure._step_setting(plan, rows, WORDS), plan


# What Mesh makes for each device ------------------------------------------------------------------


def lowered(wanted):
    """A step on devices cpu:0, cpu:1, ..., as Mesh lowers it."""
    devices = [f"/device:CPU:{n}" for n in range(wanted.mesh_shape.size)]
    mesh = mtf.placement_mesh_impl.PlacementMeshImpl(
        wanted.mesh_shape, wanted.layout_rules, devices
    )
    step = training_step.build(wanted)
    return step, mtf.Lowering(step.mesh.graph, {step.mesh: mesh})


def slices(lowering):
    """Name of a Mesh variable -> bytes of its slice on each device."""
    found = {}
    for variable, laid_out in lowering.variables.items():
        on_devices = laid_out.laid_out_tensor.tensor_list
        found[variable.name] = [
            x.shape.num_elements() * x.dtype.base_dtype.size for x in on_devices
        ]
    return found


def results(step, lowering):
    loss = lowering.tensors[step.loss].to_laid_out_tensor().tensor_list
    return [lowering.lowered_operation(each) for each in step.updates] + [x.op for x in loss]


def moved(operations, rounds):
    """Bytes that go from one device to another: a tensor goes to a device once."""
    sent = {}
    for operation in operations:
        times = rounds if "/while/" in operation.name else 1
        for tensor in operation.inputs:
            source, target = made_on(tensor), operation.device
            if source and target and source != target:
                size = tensor.shape.num_elements() * tensor.dtype.base_dtype.size
                sent[tensor.name, target] = times * size
    return sum(sent.values())


_OF_LOOPS = ("Exit", "Switch", "Merge", "NextIteration", "AddV2")


def made_on(tensor):
    """The device that a tensor lies on; what a loop adds up has none of its own.

    Nothing for constants that enter a loop: each is there once, for all devices.
    """
    operation = tensor.op
    if operation.type == "Enter":
        return ""
    while not operation.device and operation.type in _OF_LOOPS:
        operation = operation.inputs[1 if operation.type == "Merge" else 0].op
    return operation.device


def in_rings(cost, sizes):
    """Bytes that rings of all devices move for these exchanges, without synchronous dropout."""
    total = 0
    devices = cost.layout.devices
    for each in cost.traffic:
        group = np.prod([sizes[axis] for axis in each.axes])
        whole = {"all_reduce": 2, "all_reduce_max": 2 / group, "all_gather": 1}.get(each.kind, 0)
        total += devices // group * (group - 1) * whole * each.bytes
    return total


ON_DEVICES = {
    "one device": ("rv", "all:1", "batch:all", ()),
    "batch": ("rv", "all:2", "batch:all", (CLIPPED,)),
    "heads": ("v", "all:2", "heads:all;d_ff:all", ("pack = True",)),
    "packed": ("d", "all:3", "batch:all", ("pack = True", "batch_size = 9")),
    "in parts": ("fr", "batch:2;model:2", SPLIT, (ONE_HOT, IN_PARTS)),
    "d_model": ("fix", "all:2", "d_model:all", ()),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ON_DEVICES)
def test_variables_and_exchanges_are_those_of_the_lowered_graph(case):
    with wanted_step(*ON_DEVICES[case]) as (wanted, plan):
        cost = measure.of_step(wanted, plan)
        with tf.Graph().as_default():
            step, lowering = lowered(wanted)
            sizes = slices(lowering)
            bytes_moved = moved(liveness.needed(results(step, lowering)), cost.microbatches)
    assert cost.microbatches == (4 if case == "in parts" else 1)
    for device in range(plan.devices):
        of_optimizer = sum(each[device] for name, each in sizes.items() if "_slot_" in name)
        assert cost.optimizer == of_optimizer
        assert cost.parameters == sum(each[device] for each in sizes.values()) - of_optimizer
    assert cost.trained < cost.parameters if case == "d_model" else cost.trained == cost.parameters
    assert bytes_moved == in_rings(cost, dict(plan.axes))
    assert bool(bytes_moved) == (plan.devices > 1)


class SimdSlice(Slice):
    """Where there is no TPU, its variables can't be made."""

    def __init__(self, variable, mesh):
        super().__init__(variable, mesh)
        self.laid_out_tensor = mesh.LaidOutTensor([self.slice])


class Simd(mtf.simd_mesh_impl.SimdMeshImpl):
    LaidOutVariable = SimdSlice


class Anywhere:
    def tpu_device(self, replica):
        return ""


def group_size(operation):
    groups = operation.inputs[1]
    return tf.get_static_value(groups).shape[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "mesh_shape, layout, params",
    [
        ("batch:2;model:2", SPLIT, (IN_PARTS,)),
        ("batch:16;model:2", SPLIT, ()),
        ("x:2;y:3", "batch:x;d_kv:y", ("pack = True", "d_kv = 9")),
    ],
    ids=["in parts", "many devices", "prime"],
)
def test_exchanges_are_those_of_a_tpu(mesh_shape, layout, params):
    rows = 16
    with wanted_step("r", mesh_shape, layout, params, on_tpu=True, rows=rows) as (wanted, plan):
        cost = measure.of_step(wanted, plan)
        with tf.Graph().as_default():
            step = training_step.build(wanted)
            mesh = Simd(wanted.mesh_shape, wanted.layout_rules, None, Anywhere())
            lowering = mtf.Lowering(step.mesh.graph, {step.mesh: mesh})
            operations = liveness.needed(results(step, lowering))
            sums = [o for o in operations if o.type == "CrossReplicaSum" and group_size(o) > 1]
            times = [cost.microbatches if "/while/" in o.name else 1 for o in sums]
            sizes = [o.inputs[0].shape.num_elements() * o.inputs[0].dtype.size for o in sums]
    assert (cost.microbatches > 1) == (IN_PARTS in params)
    assert sum(each.operations for each in cost.traffic) == sum(times)
    assert sum(each.bytes for each in cost.traffic) == np.dot(times, sizes)
    assert cost.activation_type == "bfloat16"


def test_other_exchanges():
    """Shapes and bytes of those that T5's layers do not need."""
    mesh_shape = mtf.Shape([mtf.Dimension("x", 2), mtf.Dimension("y", 3)])
    rules = mtf.LayoutRules([("a", "x"), ("b", "y"), ("c", "y")])
    a, b, c = (mtf.Dimension(name, size) for name, size in (("a", 4), ("b", 9), ("c", 15)))
    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        x = mtf.import_tf_tensor(
            mesh, tf.zeros([4, 9, 15]), mtf.Shape([a, b, mtf.Dimension("w", 15)])
        )
        swapped = mtf.reshape(x, mtf.Shape([a, mtf.Dimension("v", 9), c]))
        whole = mtf.reshape(x, mtf.Shape([mtf.Dimension("u", 4), b, mtf.Dimension("w", 15)]))
        shifted = mtf.shift(x, 2, a, wrap=False)
        device = one_device.OneDevice(mesh_shape, rules)
        lowering = mtf.Lowering(mesh.graph, {mesh: device})
        shapes = {
            tensor: lowering.tensors[tensor].to_laid_out_tensor().slice_shape
            for tensor in (swapped, whole, shifted)
        }
    part = 2 * 3 * 15
    assert shapes == {swapped: [2, 9, 5], whole: [4, 3, 15], shifted: [2, 3, 15]}
    assert [each for _, each in device.collectives] == [
        Collective("all_to_all", ("y",), part * 2),  # as bfloat16
        Collective("all_gather", ("x",), 2 * part * 4),
        Collective("permute", ("x",), part * 4),
    ]


def test_traffic_is_added_up_by_kind_and_axes():
    each = [
        Collective("permute", ("x",), 3),
        Collective("all_reduce", ("x",), 5, times=2),
        Collective("all_reduce", ("x", "y"), 7),
        Collective("all_reduce", ("x",), 11),
    ]
    total = communication.traffic(each)
    assert total == (
        Traffic("all_reduce", ("x",), 3, 21),
        Traffic("all_reduce", ("x", "y"), 1, 7),
        Traffic("permute", ("x",), 1, 3),
    )
    by_kind = communication.bytes_by_kind(total)
    assert list(by_kind) == list(communication.KINDS)
    assert {kind: size for kind, size in by_kind.items() if size} == {
        "all_reduce": 28,
        "permute": 3,
    }


# Memory that lives at once ------------------------------------------------------------------------


def test_peak_by_hand():
    with tf.Graph().as_default():
        weights = tf.get_variable("w", [7, 50], initializer=tf.zeros_initializer())
        x = tf.placeholder(tf.float32, [3, 7])  # 84 bytes
        same = tf.reshape(tf.identity(x), [3, 7])  # none, but for the shape's 8
        y = tf.matmul(same, weights)  # 600, x is there still
        tf.matmul(x, x, transpose_b=True)  # not needed
        result = tf.reduce_sum(tf.exp(y))  # in place
        found = liveness.peak(liveness.needed([result.op]), [y])
    assert found == liveness.Peak(84 + 600, 600)


def test_a_loop_keeps_what_each_round_needs():
    tf.disable_control_flow_v2()
    with tf.Graph().as_default():
        x = tf.square(tf.placeholder(tf.float32, [11, 11]))  # 484 bytes, of use in each round

        def add(i, total):
            product = tf.matmul(x, x)  # 484
            return i + 1, total + tf.matmul(product, product)  # 484, on top of total and x

        zero = [tf.constant(0), tf.zeros([11, 11])]
        _, total = tf.while_loop(lambda i, total: i < 3, add, zero, back_prop=False)
        found = liveness.peak(liveness.needed([total.op]), [total])
    assert 4 * 484 <= found.bytes < 4 * 484 + 100
    assert found.marked_bytes == 484


def peak_of_a_run(wanted):
    """Bytes that TensorFlow's allocator had given at once in one step on one processor."""
    with tf.Graph().as_default() as graph:
        step, lowering = lowered(wanted)
        features = [o.outputs[0] for o in graph.get_operations() if o.type == "Placeholder"]
        feed = {x: np.full(x.shape.as_list(), 3) for x in features}
        one_thread = tf.ConfigProto(inter_op_parallelism_threads=1)
        with tf.Session(config=one_thread) as session:
            session.run(tf.global_variables_initializer())
            session.run(lowering.copy_masters_to_slices())
            recorded = tf.RunMetadata()
            traced = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
            session.run(results(step, lowering), feed, traced, recorded)
    changes = [
        (record.alloc_micros, record.alloc_bytes)
        for device in recorded.step_stats.dev_stats
        for node in device.node_stats
        for memory in node.memory
        for record in memory.allocation_records
    ]
    return max(np.cumsum([size for _, size in sorted(changes)]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "synthesizer, params",
    [("r", ()), ("dv", ("pack = True",))],
)
def test_activations_are_near_those_of_a_run(synthesizer, params):
    longer = ("inputs_length = 128", "targets_length = 64", *params)
    with wanted_step(synthesizer, "all:1", "", longer) as (wanted, plan):
        estimate = measure.of_step(wanted, plan).peak.bytes
        measured = peak_of_a_run(wanted)
    # A run without graph optimization holds more: 0.8 seen with AVX-512, 0.61 with AVX2 alone.
    assert 0.55 < estimate / measured < 1.25


@pytest.mark.slow
@pytest.mark.usefixtures("whole_graphs")
def test_parts_of_the_batch_need_less_memory():
    longer = ("inputs_length = 128", "targets_length = 64")
    costs = {}
    for parts in (None, 128):
        tokens = f"serialize_num_microbatches.tokens_per_microbatch_per_replica = {parts}"
        with wanted_step("v", "all:1", "", (*longer, tokens)) as (wanted, plan):
            costs[parts] = measure.of_step(wanted, plan)
    whole, divided = costs[None], costs[128]
    assert divided.microbatches == 8
    assert divided.gradients == whole.gradients
    assert divided.peak.marked_bytes == divided.gradients  # their sums are there all the time
    assert divided.activations < whole.activations / 3
    assert divided.total == divided.parameters + divided.optimizer + divided.peak.bytes


@pytest.mark.slow
def test_a_mesh_that_this_machine_does_not_have():
    longer = ("inputs_length = 128", "targets_length = 64")
    sizes = {}
    for shape in ("batch:1;model:1", "batch:8;model:4"):
        with wanted_step("v", shape, SPLIT, longer, on_tpu=True) as (wanted, plan):
            sizes[shape] = measure.of_step(wanted, plan)
    one, many = sizes.values()
    assert many.layout.devices == 32
    assert not one.traffic
    assert one.parameters / 4 < many.parameters < one.parameters / 3.5  # norms and biases are whole
    assert many.activations < one.activations / 8


@pytest.mark.slow
def test_counts_of_operations_are_those_of_mesh():
    """Mesh's own counters name each sum over devices; those it never needs are left out."""
    with wanted_step("v", "all:2", "heads:all", ()) as (wanted, plan):
        cost = measure.of_step(wanted, plan)
        with tf.Graph().as_default():
            _, lowering = lowered(wanted)
    counted = collections.Counter()
    for key, size in lowering.counters:
        if key.startswith("allreduce/"):
            counted["operations"] += 1
            counted["bytes"] += size * 4 // plan.devices
    total = {
        "operations": sum(each.operations for each in cost.traffic if "reduce" in each.kind),
        "bytes": sum(each.bytes for each in cost.traffic if "reduce" in each.kind),
    }
    assert 0 < total["operations"] <= counted["operations"]
    assert 0.9 * counted["bytes"] < total["bytes"] <= counted["bytes"]
