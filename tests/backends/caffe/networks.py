"""Networks in Caffe's language that several tests read."""

LENET = """
name: "LeNet"
layer {
  name: "images" type: "Data" top: "data" top: "label"
  include { phase: TRAIN }
  transform_param { scale: 0.00390625 }
  data_param { source: "train_lmdb" batch_size: 64 backend: LMDB }
}
layer {
  name: "images" type: "Data" top: "data" top: "label"
  include { phase: TEST }
  transform_param { scale: 0.00390625 }
  data_param { source: "test_lmdb" batch_size: 100 backend: LMDB }
}
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param {
    num_output: 20 kernel_size: 5 stride: 1
    weight_filler { type: "xavier" } bias_filler { type: "constant" }
  }
}
layer {
  name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
  inner_product_param { num_output: 500 weight_filler { type: "xavier" } }
}
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer {
  name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 10 weight_filler { type: "gaussian" std: 0.01 } }
}
layer {
  name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
layer {
  name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss"
}
"""
"""A train_val file whose images have no stated shape."""

V1_INPUT = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 12 input_dim: 10
"""
V1 = (
    V1_INPUT
    + """
name: "old"
layers {
  name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 1 }
}
layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
layers {
  name: "ip" type: INNER_PRODUCT bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 }
}
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" }
"""
)
"""A deploy file of the V1 form."""

EVERYTHING_INPUT = """
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 4 dim: 12 dim: 12 } }
}
"""
EVERYTHING = (
    EVERYTHING_INPUT
    + """
layer {
  name: "slice" type: "Slice" bottom: "data" top: "left" top: "right"
  slice_param { axis: 1 slice_point: 1 }
}
layer {
  name: "conv" type: "Convolution" bottom: "right" top: "conv"
  convolution_param {
    num_output: 6 kernel_h: 3 kernel_w: 5 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 2
    group: 3 weight_filler { type: "msra" } bias_term: false
  }
}
layer {
  name: "bn" type: "BatchNorm" bottom: "conv" top: "conv"
  batch_norm_param { eps: 0.001 moving_average_fraction: 0.99 }
}
layer {
  name: "bn_scale" type: "Scale" bottom: "conv" top: "conv"
  scale_param { bias_term: true }
}
layer {
  name: "prelu" type: "PReLU" bottom: "conv" top: "conv"
  prelu_param { filler { type: "constant" value: 0.1 } }
}
layer {
  name: "lrn" type: "LRN" bottom: "conv" top: "lrn"
  lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 }
}
layer {
  name: "pool" type: "Pooling" bottom: "lrn" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }
}
layer {
  name: "up" type: "Deconvolution" bottom: "pool" top: "up"
  convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 bias_term: true }
}
layer { name: "copies" type: "Split" bottom: "up" top: "up_a" top: "up_b" }
layer { name: "crop" type: "Crop" bottom: "up_a" bottom: "conv" top: "crop"
  crop_param { axis: 2 offset: 0 } }
layer { name: "crop_b" type: "Crop" bottom: "up_b" bottom: "conv" top: "crop_b"
  crop_param { axis: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "crop" bottom: "crop_b" bottom: "conv" top: "sum"
  eltwise_param { operation: SUM coeff: 1 coeff: -0.5 coeff: 2 } }
layer { name: "elu" type: "ELU" bottom: "sum" top: "elu" elu_param { alpha: 0.5 } }
layer { name: "power" type: "Power" bottom: "elu" top: "power"
  power_param { scale: 0.5 shift: 0.25 } }
layer { name: "join" type: "Concat" bottom: "power" bottom: "elu" top: "join"
  concat_param { axis: 1 } }
layer { name: "factor" type: "Scale" bottom: "join" top: "factor" }
layer { name: "term" type: "Scale" bottom: "factor" top: "term"
  scale_param { bias_term: true } }
layer { name: "shape" type: "Reshape" bottom: "term" top: "shape"
  reshape_param { shape { dim: 0 dim: 6 dim: -1 dim: 6 } } }
layer { name: "flat" type: "Flatten" bottom: "shape" top: "flat" }
layer { name: "drop" type: "Dropout" bottom: "flat" top: "flat" }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip"
  inner_product_param { num_output: 7 } }
layer { name: "tanh" type: "TanH" bottom: "ip" top: "ip" }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
layer { name: "rest" type: "Silence" bottom: "left" }
"""
)
"""A deploy file with most of the layers that can be read."""

SOLVER = """
net: "train_val.prototxt"
test_iter: 100
test_interval: 500
base_lr: 0.01
momentum: 0.9
weight_decay: 0.0005
lr_policy: "inv"
gamma: 0.0001
power: 0.75
display: 100
max_iter: 10000
snapshot: 5000
snapshot_prefix: "lenet"
solver_mode: GPU
"""
